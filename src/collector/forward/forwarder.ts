import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { messageOf } from "../../core/error.ts";
import type { Alarm } from "../../core/record/finding.ts";
import { timeOf } from "../../core/record/queued.ts";
import { deliver } from "../../deliver/deliver.ts";
import type { Attempted, Sink } from "../../deliver/deliver.ts";
import { makeReceiver } from "../../deliver/formats/formats.ts";
import { isForgeable, sinkName } from "../../deliver/sink.ts";
import type { SinkSettings } from "../../deliver/sink.ts";
import { Wakeup } from "../../deliver/wakeup.ts";
import type { SinkMetrics } from "../../health/sink-metrics.ts";
import type { Feed } from "../feed.ts";
import type { Collector } from "../ingest/receive.ts";
import { ownCluster } from "../own-chain.ts";
import { Failing } from "./failing.ts";
import { StoredQueue } from "./queue.ts";

interface ForwarderOptions {
  readonly sinks: readonly SinkSettings[];
  readonly collector: Collector;
  /** The collector's name. */
  readonly name: string;
  readonly feed: Feed;
  readonly metrics: SinkMetrics;
  readonly log: Logger;
}

/** How often to look for alerts that another collector stored, and for sinks that it no longer serves. */
const lookEvery = 1000;

/** Sends what is stored to the SOC: alerts, events of agents, the collector's own alarms. */
export class Forwarder implements AsyncDisposable {
  readonly #options: ForwarderOptions;
  readonly #queue: StoredQueue;
  readonly #failing = new Failing();
  #raising: Promise<void> = Promise.resolve();
  readonly #stop = new AbortController();
  readonly #wakeups: readonly Wakeup[];
  readonly #loops: readonly Promise<void>[];
  readonly #unfollow: () => void;
  readonly #timer: NodeJS.Timeout;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    const { sinks, collector, feed } = options;
    const { store, clock } = collector;
    this.#queue = new StoredQueue({ store, clock, holder: randomBytes(8).toString("hex") });
    const started = sinks.map((settings) => this.#start(settings));
    this.#wakeups = started.map(({ wakeup }) => wakeup);
    this.#loops = started.map(({ loop }) => loop);
    const wake = (): void => {
      for (const wakeup of this.#wakeups) wakeup.wake();
    };
    this.#unfollow = feed.follow(wake);
    this.#timer = setInterval(wake, lookEvery);
  }

  /** Sinks that still have to deliver alerts up to this number. A disabled one delivers nothing. */
  async behind(alertId: number): Promise<readonly string[]> {
    const names = this.#options.sinks.map(sinkName);
    const places = await Promise.all(names.map(async (name) => await this.#queue.state(name)));
    return names.filter((_, at) => {
      const place = places[at];
      return place?.disabled === false && place.seq < alertId;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#unfollow();
    this.#stop.abort();
    await Promise.all(this.#loops);
    await this.#raising;
  }

  #start(settings: SinkSettings): { readonly wakeup: Wakeup; readonly loop: Promise<void> } {
    const { log, metrics } = this.#options;
    const { clock } = this.#options.collector;
    const name = sinkName(settings);
    const warn = (problem: string): void => log.warn({ sink: name, problem }, "sink");
    if (isForgeable(settings.url))
      warn(
        "not encrypted to another host: use TLS, or anyone on the network can read and forge it",
      );
    const receiver = makeReceiver(settings, { clock, warn });
    const wakeup = new Wakeup();
    metrics.sink(name);
    const sink: Sink = {
      name,
      queue: this.#queue,
      receiver,
      wakeup,
      clock,
      random: Math.random,
      onAttempt: (attempted) => this.#note(attempted),
    };
    const loop = this.#run(sink).finally(() => receiver[Symbol.dispose]());
    return { wakeup, loop };
  }

  /** Runs until the collector stops. After a failure of the store it tries again. */
  async #run(sink: Sink): Promise<void> {
    const { signal } = this.#stop;
    const { log } = this.#options;
    let isRegistered = false;
    while (!signal.aborted) {
      try {
        if (!isRegistered) await this.#queue.register(sink.name);
        isRegistered = true;
        if ((await deliver(sink, signal)) === "stopped") break;
        await this.#untilEnabled(sink);
      } catch (error) {
        log.error({ sink: sink.name, reason: messageOf(error) }, "the sink's place was not stored");
        await sink.wakeup.pause(lookEvery, signal);
      }
    }
    await this.#queue.release(sink.name).catch((error: unknown) => {
      log.warn({ sink: sink.name, reason: messageOf(error) }, "the sink was not released");
    });
  }

  /** Enabled by other keys than those that the receiver refused with its 410. */
  async #untilEnabled({ name, receiver, wakeup }: Sink): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const place = await this.#queue.state(name);
      if (place?.disabled !== true) return;
      if (receiver.keysId?.() !== place.keys) return await this.#queue.enable(name);
      await wakeup.pause(lookEvery, signal);
    }
  }

  #note({ sink, outcome, records, failures, delay, givenUp }: Attempted): void {
    const { metrics, log } = this.#options;
    const now = this.#options.collector.clock();
    metrics.delivery(sink, outcome.kind);
    const news = this.#failing.note(sink, outcome.kind, {
      now,
      ...(delay !== undefined && { delay }),
    });
    const why = outcome.kind === "delivered" ? undefined : outcome.why;
    if (news) this.#raising = this.#raising.then(async () => await this.#raise(sink, why));
    if (givenUp) {
      metrics.givenUp(sink, givenUp.count);
      log.warn({ sink, ...givenUp }, "refused for good");
    }
    if (outcome.kind !== "delivered") {
      log.warn({ sink, outcome, failures, delay }, "not delivered");
      return;
    }
    for (const { bytes } of records)
      metrics.deliveryLatency(sink, (now - (timeOf(bytes) ?? now)) / 1000);
  }

  /** Reports at the other sinks and on the page that a sink fails, or no longer does. */
  async #raise(sink: string, why: string | undefined): Promise<void> {
    const { collector, name, feed, log } = this.#options;
    const about = { cluster: ownCluster, node: name, detail: { sink } };
    const alarm: Alarm =
      why === undefined
        ? { kind: "delivered", severity: "info", reason: `sink ${sink}: delivers again`, ...about }
        : { kind: "undelivered", severity: "high", reason: `sink ${sink}: ${why}`, ...about };
    try {
      await collector.store.transact(async (tx) => await collector.own.raise(tx, alarm, undefined));
      feed.wake();
    } catch (error) {
      log.error({ sink, reason: messageOf(error) }, "an alarm was not stored");
    }
  }
}
