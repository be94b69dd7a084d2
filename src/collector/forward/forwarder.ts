import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { messageOf } from "../../core/error.ts";
import { timeOf } from "../../core/record/queued.ts";
import { deliver } from "../../deliver/deliver.ts";
import type { Attempted, Sink } from "../../deliver/deliver.ts";
import { makeReceiver } from "../../deliver/formats/formats.ts";
import { isForgeable, sinkName } from "../../deliver/sink.ts";
import type { SinkSettings } from "../../deliver/sink.ts";
import { Wakeup } from "../../deliver/wakeup.ts";
import type { SinkMetrics } from "../../health/sink-metrics.ts";
import type { Feed } from "../feed.ts";
import type { Store } from "../store/store.ts";
import { StoredQueue } from "./queue.ts";

interface ForwarderOptions {
  readonly sinks: readonly SinkSettings[];
  readonly store: Store;
  readonly feed: Feed;
  readonly metrics: SinkMetrics;
  readonly log: Logger;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** How often to look for alerts that another collector stored, and for sinks that it no longer serves. */
const lookEvery = 1000;

/** Sends what is stored to the SOC: alerts, events of agents, the collector's own alarms. */
export class Forwarder implements AsyncDisposable {
  readonly #options: ForwarderOptions;
  readonly #queue: StoredQueue;
  readonly #stop = new AbortController();
  readonly #wakeups: readonly Wakeup[];
  readonly #loops: readonly Promise<void>[];
  readonly #unfollow: () => void;
  readonly #timer: NodeJS.Timeout;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    const { sinks, store, clock, feed } = options;
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

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#unfollow();
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  #start(settings: SinkSettings): { readonly wakeup: Wakeup; readonly loop: Promise<void> } {
    const { clock, log, metrics } = this.#options;
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
    const { metrics, log, clock } = this.#options;
    metrics.delivery(sink, outcome.kind);
    if (givenUp) {
      metrics.givenUp(sink, givenUp.count);
      log.warn({ sink, ...givenUp }, "refused for good");
    }
    if (outcome.kind !== "delivered") {
      log.warn({ sink, outcome, failures, delay }, "not delivered");
      return;
    }
    for (const { bytes } of records)
      metrics.deliveryLatency(sink, (clock() - (timeOf(bytes) ?? clock())) / 1000);
  }
}
