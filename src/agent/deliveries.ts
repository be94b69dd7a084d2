import type { Refusal } from "../core/backoff.ts";
import { isBusy, messageOf } from "../core/error.ts";
import type { Logger } from "pino";
import { timeOf } from "../core/record/queued.ts";
import { redactUrl } from "../core/redact.ts";
import { untilUnlocked } from "../reconcile/when-unlocked.ts";
import { Wakeup } from "../deliver/wakeup.ts";
import { deliver } from "../deliver/deliver.ts";
import type { Attempted, Sink } from "../deliver/deliver.ts";
import { makeReceiver } from "../deliver/formats/formats.ts";
import { FailureLog } from "../deliver/failure-log.ts";
import { isForgeable, sinkName } from "../deliver/sink.ts";
import type { Metrics } from "../health/metrics.ts";
import type { Settings } from "../config/settings.ts";
import type { Node } from "../node/node.ts";
import type { State } from "../node/state.ts";
import { report } from "../deliver/collector/report.ts";
import { logTrouble, makeCollectorSink } from "./collector-sink.ts";
import { collectorName } from "./heartbeat.ts";
import type { HealthStatus } from "../health/status.ts";

interface DeliveryOptions {
  readonly node: Node;
  readonly settings: Settings;
  readonly state: State;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthStatus;
}

/** Milliseconds after which a sink that fails is reported, also at the other sinks. */
const degradedAfter = 60_000;
/** How often refused records of one sink are reported, at the others too. The report itself may be refused. */
const refusalsEvery = 3_600_000;
/** How often to look in the outbox for records of another process (accept, key rotate). */
const lookEvery = 1000;

/** Runs one delivery loop for each sink. */
export class Deliveries implements AsyncDisposable {
  readonly #options: DeliveryOptions;
  readonly #stop = new AbortController();
  readonly #wakeups: Wakeup[] = [];
  readonly #loops: Promise<unknown>[] = [];
  readonly #names: string[] = [];
  readonly #timer: NodeJS.Timeout;
  #seen = 0;
  /** Milliseconds of performance.now() since when a sink has delivered nothing. */
  readonly #failingSince = new Map<string, number>();
  readonly #failureLog = new FailureLog();
  /** Milliseconds of performance.now(), when refused records of a sink were last reported. */
  readonly #refusedAt = new Map<string, number>();

  constructor(options: DeliveryOptions) {
    this.#options = options;
    const { settings, state } = options;
    state.queue.onAltered = (sink, found) =>
      options.health.incident(`delivery ${sink}`, `another process altered the sink: ${found}`);
    const from = state.queue.isFirst() ? "oldest" : "head";
    const { collector } = settings;
    state.queue.register([
      ...settings.webhooks.map((one) => ({ name: sinkName(one), from }) as const),
      ...(collector ? [{ name: collectorName, from: "oldest" } as const] : []),
    ]);
    for (const webhook of settings.webhooks) this.#start(webhook);
    if (collector) this.#startCollector(collector);
    this.#seen = state.outbox.head().seq;
    this.#timer = setInterval(() => this.#lookForOthers(), lookEvery);
    this.#timer.unref();
  }

  /** Call it after a record was queued. */
  wake(): void {
    for (const wakeup of this.#wakeups) wakeup.wake();
  }

  summary(): { readonly sinks: readonly string[] } {
    return { sinks: this.#names };
  }

  /** Keeps delivering for at most this many milliseconds, then stops. The rest stays queued. */
  async finish(within: number): Promise<void> {
    this.wake();
    const until = Date.now() + within;
    while (Date.now() < until && this.#isBusy()) await new Promise((go) => setTimeout(go, 10));
    await this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  #start(webhook: Settings["webhooks"][number]): void {
    const { state, log } = this.#options;
    const name = sinkName(webhook);
    const warn = (problem: string): void => log.warn({ sink: name, problem }, "sink");
    if (isForgeable(webhook.url))
      warn(
        "not encrypted to another host: use TLS, or anyone on the network can read and forge it",
      );
    const receiver = makeReceiver(webhook, { clock: Date.now, warn });
    const wakeup = new Wakeup();
    this.#wakeups.push(wakeup);
    this.#names.push(redactUrl(webhook.url));
    this.#options.metrics.sink(name);
    const sink = {
      name,
      queue: state.queue,
      receiver,
      wakeup,
      clock: Date.now,
      random: Math.random,
      onAttempt: (attempted: Attempted) => this.#note(attempted),
    };
    const loop = this.#run(name, async (signal) => {
      if ((await deliver(sink, signal)) === "stopped") return;
      this.#fail(name, "the receiver answered 410: it is gone");
      await this.#untilEnabled(sink);
    });
    this.#loops.push(loop.finally(() => receiver[Symbol.dispose]()));
  }

  #startCollector(collector: NonNullable<Settings["collector"]>): void {
    const { metrics, health } = this.#options;
    const wakeup = new Wakeup();
    this.#wakeups.push(wakeup);
    this.#names.push(redactUrl(collector.url));
    metrics.sink(collectorName);
    const sink = makeCollectorSink(collector, {
      ...this.#options,
      wakeup,
      onAttempt: (attempted) => this.#note(attempted),
      onLog: (fault) =>
        fault === undefined ? health.over(logTrouble) : health.trouble(logTrouble, fault),
      onFork: (seq) =>
        health.trouble(
          "collector",
          `it holds another record ${seq} of this chain: this state is a copy, or an older one`,
        ),
    });
    const loop = this.#run(collectorName, async (signal) => await report(sink, signal));
    this.#loops.push(loop.finally(() => sink.client[Symbol.dispose]()));
  }

  /** Runs a sink's loop until the agent stops. After a failed write to the queue it tries again. */
  async #run(name: string, loop: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await loop(signal);
      } catch (error) {
        if (isBusy(error)) {
          await untilUnlocked({ ...this.#options, signal });
          continue;
        }
        this.#fail(name, messageOf(error));
        await new Wakeup().pause(lookEvery, signal);
      }
    }
  }

  /** Enabled by `webhook test`, or by other keys than those that the receiver refused. */
  async #untilEnabled({ name, receiver, wakeup }: Sink): Promise<void> {
    const { state, health } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      if (state.queue.state(name)?.disabled !== true) return health.clear(`delivery ${name}`);
      if (receiver.keysId?.() !== state.queue.disabledWith(name)) {
        state.queue.enable(name);
        return health.over(`delivery ${name}`);
      }
      await wakeup.pause(lookEvery, signal);
    }
  }

  #fail(name: string, why: string): void {
    this.#options.health.trouble(`delivery ${name}`, why);
  }

  #note({ sink, outcome, records, failures, delay, givenUp }: Attempted): void {
    const { metrics, log, health } = this.#options;
    metrics.delivery(sink, outcome.kind);
    if (givenUp) this.#giveUp(sink, givenUp);
    if (outcome.kind === "delivered") {
      const now = Date.now();
      for (const { bytes } of records)
        metrics.deliveryLatency(sink, (now - (timeOf(bytes) ?? now)) / 1000);
      health.over(`delivery ${sink}`);
      this.#failingSince.delete(sink);
      this.#failureLog.over(sink);
      return;
    }
    if (this.#failureLog.isNews(sink, outcome.why, performance.now()))
      log.warn({ sink, outcome, failures, delay }, "not delivered");
    const since = this.#failingSince.get(sink) ?? performance.now();
    this.#failingSince.set(sink, since);
    // Nothing is delivered before the next attempt.
    if (performance.now() + (delay ?? 0) - since >= degradedAfter) this.#fail(sink, outcome.why);
  }

  #giveUp(sink: string, { count, why }: Refusal): void {
    const { metrics, log, health } = this.#options;
    metrics.givenUp(sink, count);
    log.warn({ sink, count, why }, "refused for good");
    const now = performance.now();
    if (now - (this.#refusedAt.get(sink) ?? -refusalsEvery) < refusalsEvery) return;
    this.#refusedAt.set(sink, now);
    health.incident(`delivery ${sink}`, `the receiver refused records for good: ${why}`);
  }

  #lookForOthers(): void {
    const { state, health } = this.#options;
    try {
      const { seq } = state.outbox.head();
      health.over("chain");
      if (seq === this.#seen) return;
      this.#seen = seq;
      this.wake();
    } catch (error) {
      health.trouble("chain", messageOf(error));
    }
  }

  #isBusy(): boolean {
    const { state, settings } = this.#options;
    const names = settings.webhooks.map(sinkName);
    return [...names, ...(settings.collector ? [collectorName] : [])].some((name) => {
      const sink = state.queue.state(name);
      return (
        sink !== undefined &&
        !sink.disabled &&
        sink.attempts === 0 &&
        state.queue.pending(name).records > 0
      );
    });
  }

  async #end(): Promise<void> {
    clearInterval(this.#timer);
    this.#stop.abort();
    await Promise.all(this.#loops);
  }
}
