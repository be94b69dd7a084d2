import type { Logger } from "pino";
import type { Listen } from "../config/options.ts";
import { present } from "../core/present.ts";
import { openCollector } from "./collector.ts";
import type { Admission } from "./enroll/enroll.ts";
import type { StoreSettings } from "./collector.ts";
import type { Collector } from "./ingest/receive.ts";
import type { SinkSettings } from "../deliver/sink.ts";
import { Forwarder } from "./forward/forwarder.ts";
import { Feed } from "./feed.ts";
import { Scrub } from "./log/scrub.ts";
import { keepLog } from "./owner.ts";
import { Retention } from "./retention.ts";
import type { Keep } from "./retention.ts";
import { createCollectorMetrics } from "./metrics.ts";
import { listen, makeServer } from "./server/server.ts";
import { Watchdog } from "./watchdog.ts";

export interface ServeSettings extends StoreSettings {
  readonly name: string;
  readonly listen: Listen;
  /** PEM */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly admission?: Admission;
  /** Receivers of what is stored. */
  readonly sinks?: readonly SinkSettings[];
  readonly keep?: Keep;
  /** Template of the address that says what to do about an alert. */
  readonly runbook?: string;
}

/** A collector that answers requests. */
export interface Serving extends AsyncDisposable {
  readonly address: string;
  readonly collector: Collector;
  /** Rejects when another collector has taken the store over. */
  readonly lost: Promise<never>;
}

/** Opens the store and answers requests until it is disposed. */
export async function startServing(settings: ServeSettings, log: Logger): Promise<Serving> {
  await using stack = new AsyncDisposableStack();
  const collector = stack.use(await openCollector(settings, Date.now));
  const feed = new Feed();
  const { store, clock } = collector;
  const metrics = createCollectorMetrics({ store, clock, followers: () => feed.size });
  const { tls, runbook } = settings;
  const server = await makeServer(present({ collector, feed, metrics, log, tls, runbook }));
  stack.defer(async () => await server.close());
  const address = await listen(server, settings.listen);
  const owner = { keyId: collector.own.key.keyId, name: settings.name };
  const lost = Promise.withResolvers<never>();
  // Its reason is reported where it is awaited.
  lost.promise.catch(() => undefined);
  stack.use(keepLog({ store, owner, clock, log, onLost: lost.reject }));
  stack.use(new Watchdog({ collector, feed, log }));
  stack.use(new Scrub({ collector, feed, log, name: settings.name }));
  const { sinks = [] } = settings;
  const { keep = {}, name } = settings;
  const forwarder = new Forwarder({ sinks, collector, name, feed, metrics: metrics.sinks, log });
  stack.use(forwarder);
  const behind = async (alertId: number) => await forwarder.behind(alertId);
  stack.use(new Retention({ collector, feed, log, keep, name, behind }));
  const owned = stack.move();
  return {
    address,
    collector,
    lost: lost.promise,
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

interface ServeOptions {
  readonly log: Logger;
  /** Called with the address when requests are answered. */
  readonly onReady: (address: string) => void;
  readonly signal: AbortSignal;
}

/** Receives, keeps and shows until the signal aborts. Throws KEY_INVALID when another collector takes the store over. */
export async function serve(
  settings: ServeSettings,
  { log, signal, onReady }: ServeOptions,
): Promise<void> {
  await using serving = await startServing(settings, log);
  onReady(serving.address);
  await Promise.race([aborted(signal), serving.lost]);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
