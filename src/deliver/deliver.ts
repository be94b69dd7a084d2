import { brokenAfter, classify, defaultLimits, delayAfter } from "../core/backoff.ts";
import type { Answer, Limits, Outcome, Refusal } from "../core/backoff.ts";
import type { Leased, LeaseLimits, SinkState } from "../core/record/queued.ts";
import { awaitTurn } from "./turn.ts";
import type { Wakeup } from "./wakeup.ts";

/** At once, as SQLite answers, or later. */
type Later<Value> = Value | Promise<Value>;

/** The outbox as the loop needs it. Each call is one durable commit. */
export interface Queue {
  lease(sink: string, limits: LeaseLimits): Later<readonly Leased[]>;
  settle(sink: string, seq: number): Later<void>;
  defer(sink: string, attempts: number, nextAt: number): Later<void>;
  disable(sink: string, reason: string, keys?: string): Later<void>;
  state(sink: string): Later<Omit<SinkState, "seq"> | undefined>;
}

/** A receiver of records: a webhook, the collector. */
export interface Receiver {
  /** False: settle it without sending. */
  wants(record: Leased): boolean;
  /** Sends these records in one request. Undefined only when the signal aborted. */
  post(records: readonly Leased[], signal: AbortSignal): Promise<Answer | undefined>;
  /** Records that one request may carry. */
  readonly maxPerPost: number;
  /** What an answer means for this many records. Absent: its status alone decides. */
  judge?(answer: Answer, count: number): Outcome;
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
  /** The records that are settled now, or that were sent in vain. */
  readonly records: readonly Leased[];
  /** Records that the receiver never took and that are not sent again. */
  readonly givenUp?: Refusal;
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
 * §15.5.11). Settles a record only when the receiver is done with it.
 */
export async function deliver(sink: Sink, signal: AbortSignal): Promise<"stopped" | "disabled"> {
  while (!signal.aborted) {
    const state = await sink.queue.state(sink.name);
    if (state?.disabled) return "disabled";
    if (await awaitTurn(sink, state, signal)) continue;
    const records = await lease(sink);
    if (records.length === 0) await sink.wakeup.idle(signal);
    else await drain(sink, { records, failures: state?.attempts ?? 0 }, signal);
  }
  return "stopped";
}

function lease(sink: Sink): Later<readonly Leased[]> {
  const limits = { maxRecords: leaseRecords, maxBytes: leaseBytes, now: sink.clock() };
  return sink.queue.lease(sink.name, limits);
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
  async reach(records: readonly Leased[]): Promise<void> {
    this.#seq = records.at(-1)?.seq ?? this.#seq;
    const since = this.#sink.clock() - this.#lastWritten;
    if (since >= gathering || since < 0) await this.write();
  }

  async write(): Promise<void> {
    const seq = this.#seq;
    this.#seq = undefined;
    this.#lastWritten = this.#sink.clock();
    if (seq !== undefined) await this.#sink.queue.settle(this.#sink.name, seq);
  }
}

/** Sends leased records until all are settled or one fails. */
async function drain(sink: Sink, leased: Leasehold, signal: AbortSignal): Promise<void> {
  const { records } = leased;
  const { receiver } = sink;
  const progress = new Progress(sink);
  let { failures } = leased;
  let limit = receiver.maxPerPost;
  let at = 0;
  try {
    while (at < records.length && !signal.aborted) {
      const unwanted = unwantedFrom(receiver, records, at);
      await progress.reach(unwanted);
      at += unwanted.length;
      const batch = nextBatch(receiver, records.slice(at, at + limit));
      if (batch.length === 0) return;
      const answer = await receiver.post(batch, signal);
      if (!answer) return;
      const outcome = receiver.judge?.(answer, batch.length) ?? classify(answer, sink.clock());
      if (outcome.kind === "refused" && batch.length > 1) {
        limit = Math.ceil(batch.length / 2);
        continue;
      }
      const settled = await recordOutcome(sink, batch, { outcome, failures, progress });
      if (settled < batch.length) return;
      failures = 0;
      limit = receiver.maxPerPost;
      at += settled;
    }
  } finally {
    await progress.write();
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

function nextBatch(receiver: Receiver, most: readonly Leased[]): readonly Leased[] {
  const unwanted = most.findIndex((record) => !receiver.wants(record));
  return unwanted < 0 ? most : most.slice(0, unwanted);
}

interface Ended {
  readonly outcome: Outcome;
  /** Failures in a row before it. */
  readonly failures: number;
  readonly progress: Progress;
}

/** Records the result of a request. Returns how many of its records are settled. */
async function recordOutcome(sink: Sink, batch: readonly Leased[], ended: Ended): Promise<number> {
  const { outcome, failures } = ended;
  switch (outcome.kind) {
    case "delivered":
      return await settle(sink, batch, { ...ended, givenUp: outcome.refused });
    case "refused": {
      const { why } = outcome;
      if (failures + 1 < brokenAfter) return await fail(sink, batch, ended);
      return await settle(sink, batch, { ...ended, givenUp: { count: batch.length, why } });
    }
    case "partial":
      await ended.progress.reach(batch.slice(0, outcome.settled));
      await fail(sink, batch, { ...ended, failures: outcome.settled > 0 ? 0 : failures });
      return outcome.settled;
    case "retry":
    case "rejected":
    case "disabled":
      return await fail(sink, batch, ended);
  }
}

async function settle(
  { name, onAttempt }: Sink,
  batch: readonly Leased[],
  ended: Ended & { readonly givenUp: Refusal | undefined },
): Promise<number> {
  const { outcome, progress, givenUp } = ended;
  await progress.reach(batch);
  const attempted = { sink: name, outcome, records: batch, failures: 0, broken: false };
  onAttempt?.({ ...attempted, ...(givenUp && { givenUp }) });
  return batch.length;
}

/** Disables the sink or lets it wait. */
async function fail(sink: Sink, batch: readonly Leased[], ended: Ended): Promise<number> {
  const { name, queue } = sink;
  const { outcome, progress } = ended;
  const failures = ended.failures + 1;
  await progress.write();
  const broken = failures >= brokenAfter;
  const attempted = { sink: name, outcome, records: batch, failures, broken };
  if (outcome.kind === "disabled") {
    await queue.disable(name, outcome.why, sink.receiver.keysId?.());
    sink.onAttempt?.(attempted);
  } else if (outcome.kind !== "delivered") {
    const chance = { random: sink.random(), limits: sink.limits ?? defaultLimits };
    const delay = delayAfter(outcome, failures, chance);
    await queue.defer(name, failures, sink.clock() + delay);
    const givenUp = outcome.kind === "partial" ? outcome.refused : undefined;
    sink.onAttempt?.({ ...attempted, delay, ...(givenUp && { givenUp }) });
  }
  return 0;
}
