import { brokenAfter, classify, defaultLimits, delayAfter } from "../core/backoff.ts";
import type { Answer, Limits, Outcome } from "../core/backoff.ts";
import type { Leased, LeaseLimits, SinkState } from "../core/record/queued.ts";
import type { Wakeup } from "./wakeup.ts";

/** The outbox as the loop needs it. Each call is one durable commit. */
export interface Queue {
  lease(sink: string, limits: LeaseLimits): readonly Leased[];
  settle(sink: string, seq: number): void;
  defer(sink: string, attempts: number, nextAt: number): void;
  disable(sink: string, reason: string, keys?: string): void;
  state(sink: string): Omit<SinkState, "seq"> | undefined;
}

/** A receiver of records: a webhook, the collector. */
export interface Receiver {
  /** False: settle it without sending. */
  wants(record: Leased): boolean;
  /** Sends these records in one request. Undefined only when the signal aborted. */
  post(records: readonly Leased[], signal: AbortSignal): Promise<Answer | undefined>;
  /** Records that one request may carry. */
  readonly maxPerPost: number;
  /** Identifies the keys in use, without revealing them. */
  keysId?(): string;
}

export interface Sink {
  readonly name: string;
  readonly queue: Queue;
  readonly receiver: Receiver;
  readonly wakeup: Wakeup;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly limits?: Limits;
  readonly onAttempt?: (attempt: Attempted) => void;
}

/** The result of one request, for metrics and the log. */
export interface Attempted {
  readonly sink: string;
  readonly outcome: Outcome;
  readonly records: readonly Leased[];
  /** Failures in a row, this one included. */
  readonly failures: number;
  /** Enough failures that further requests are probes. */
  readonly broken: boolean;
  /** Milliseconds until the next attempt, when there will be one. */
  readonly delay?: number;
}

const leaseRecords = 256;
const leaseBytes = 1024 * 1024;
/**
 * Milliseconds in which answers gather into one commit. After a crash these records are sent again, with the same
 * ids.
 */
const gathering = 100;

/**
 * Sends a sink's queue in order, one request at a time, until the signal aborts or the receiver answers 410 (RFC 9110
 * §15.5.11). Settles a record only after its 2xx.
 */
export async function deliver(sink: Sink, signal: AbortSignal): Promise<"stopped" | "disabled"> {
  while (!signal.aborted) {
    const state = sink.queue.state(sink.name);
    if (state?.disabled) return "disabled";
    const wait = waitFor(sink, state);
    if (wait > 0) {
      await sink.wakeup.pause(wait, signal);
      continue;
    }
    const records = lease(sink);
    if (records.length === 0) await sink.wakeup.idle(signal);
    else await drain(sink, { records, failures: state?.attempts ?? 0 }, signal);
  }
  return "stopped";
}

function lease(sink: Sink): readonly Leased[] {
  const limits = { maxRecords: leaseRecords, maxBytes: leaseBytes, now: sink.clock() };
  return sink.queue.lease(sink.name, limits);
}

/** Ignores a stored time later than we could have stored: a clock set back must not silence a sink. */
function waitFor(sink: Sink, state: Omit<SinkState, "seq"> | undefined): number {
  const { cap, retryAfterCap, base } = sink.limits ?? defaultLimits;
  const wait = (state?.nextAt ?? 0) - sink.clock();
  if (state === undefined || wait <= Math.max(cap, retryAfterCap + base)) return wait;
  sink.queue.defer(sink.name, state.attempts, sink.clock());
  return 0;
}

interface Leasehold {
  readonly records: readonly Leased[];
  readonly failures: number;
}

/** A sink's progress, written at most once in a while. */
class Progress {
  readonly #sink: Sink;
  #seq: number | undefined;
  #lastWritten: number;

  constructor(sink: Sink) {
    this.#sink = sink;
    this.#lastWritten = sink.clock();
  }

  /** Marks these records and all before them as settled. */
  reach(records: readonly Leased[]): void {
    this.#seq = records.at(-1)?.seq ?? this.#seq;
    const since = this.#sink.clock() - this.#lastWritten;
    if (since >= gathering || since < 0) this.write();
  }

  write(): void {
    const seq = this.#seq;
    this.#seq = undefined;
    this.#lastWritten = this.#sink.clock();
    if (seq !== undefined) this.#sink.queue.settle(this.#sink.name, seq);
  }
}

/** Sends leased records until all are settled or one fails. */
async function drain(sink: Sink, leased: Leasehold, signal: AbortSignal): Promise<void> {
  const { records } = leased;
  const progress = new Progress(sink);
  let { failures } = leased;
  let at = 0;
  try {
    while (at < records.length && !signal.aborted) {
      const unwanted = unwantedFrom(sink.receiver, records, at);
      progress.reach(unwanted);
      at += unwanted.length;
      const batch = nextBatch(sink.receiver, records, at);
      if (batch.length === 0) return;
      const answer = await sink.receiver.post(batch, signal);
      if (!answer) return;
      if (!recordOutcome(sink, batch, { answer, failures, progress })) return;
      failures = 0;
      at += batch.length;
    }
  } finally {
    progress.write();
  }
}

function unwantedFrom(
  receiver: Receiver,
  records: readonly Leased[],
  from: number,
): readonly Leased[] {
  const wanted = records.findIndex((record, at) => at >= from && receiver.wants(record));
  return records.slice(from, wanted < 0 ? records.length : wanted);
}

function nextBatch(
  receiver: Receiver,
  records: readonly Leased[],
  from: number,
): readonly Leased[] {
  const most = records.slice(from, from + receiver.maxPerPost);
  const unwanted = most.findIndex((record) => !receiver.wants(record));
  return unwanted < 0 ? most : most.slice(0, unwanted);
}

/** Records the result of a request. True: these records are settled. */
function recordOutcome(
  sink: Sink,
  batch: readonly Leased[],
  last: { readonly answer: Answer; readonly failures: number; readonly progress: Progress },
): boolean {
  const { name, queue } = sink;
  const now = sink.clock();
  const outcome = classify(last.answer, now);
  const failures = outcome.kind === "delivered" ? 0 : last.failures + 1;
  const attempted = { sink: name, outcome, records: batch, failures };
  if (outcome.kind === "delivered") {
    last.progress.reach(batch);
    sink.onAttempt?.({ ...attempted, broken: false });
    return true;
  }
  last.progress.write();
  const broken = failures >= brokenAfter;
  if (outcome.kind === "disabled") {
    queue.disable(name, outcome.why, sink.receiver.keysId?.());
    sink.onAttempt?.({ ...attempted, broken });
    return false;
  }
  const chance = { random: sink.random(), limits: sink.limits ?? defaultLimits };
  const delay = delayAfter(outcome, failures, chance);
  queue.defer(name, failures, now + delay);
  sink.onAttempt?.({ ...attempted, broken, delay });
  return false;
}
