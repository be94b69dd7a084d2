import type { Logger } from "pino";
import type { Listen } from "../config/options.ts";
import { openCollector } from "./collector.ts";
import type { StoreSettings } from "./collector.ts";
import { Feed } from "./feed.ts";
import { createCollectorMetrics } from "./metrics.ts";
import { listen, makeServer } from "./server/server.ts";
import { Watchdog } from "./watchdog.ts";

export interface ServeSettings extends StoreSettings {
  readonly name: string;
  readonly listen: Listen;
  /** PEM */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface ServeOptions {
  readonly log: Logger;
  /** Called with the address when requests are answered. */
  readonly onReady: (address: string) => void;
  readonly signal: AbortSignal;
}

/** Receives, keeps and shows until the signal aborts. */
export async function serve(settings: ServeSettings, options: ServeOptions): Promise<void> {
  const { log, signal, onReady } = options;
  await using collector = await openCollector(settings, Date.now);
  const feed = new Feed();
  const { store, clock } = collector;
  const metrics = createCollectorMetrics({ store, clock, followers: () => feed.size });
  const { tls } = settings;
  const server = await makeServer({ collector, feed, metrics, log, ...(tls && { tls }) });
  try {
    const address = await listen(server, settings.listen);
    await using _ = new Watchdog({ collector, feed, log });
    onReady(address);
    await aborted(signal);
  } finally {
    await server.close();
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
