import { brokenAfter, defaultLimits, delayAfter } from "../../core/backoff.ts";
import type { Failure, Limits, Outcome } from "../../core/backoff.ts";
import type { Leased, LeaseLimits, SinkState } from "../../core/record/queued.ts";
import type { Attempted } from "../deliver.ts";
import { awaitTurn } from "../turn.ts";
import type { Wakeup } from "../wakeup.ts";
import type { CollectorClient, Identity } from "./client.ts";
import type { Witness } from "./witness.ts";
import type { Sent } from "./answer.ts";

/** A signed batch with its records. */
interface LeasedBatch {
  readonly first: number;
  readonly last: number;
  readonly envelope: string;
  readonly records: readonly Leased[];
}

/** The outbox as this loop needs it. Each call is one durable commit. */
interface BatchQueue {
  leaseBatches(sink: string, limits: LeaseLimits, after?: number): readonly LeasedBatch[];
  settle(sink: string, seq: number): void;
  /** Sends what comes after this number again. */
  rewind(sink: string, seq: number): void;
  defer(sink: string, attempts: number, nextAt: number): void;
  state(sink: string): SinkState | undefined;
}

export interface CollectorSink {
  readonly name: string;
  readonly queue: BatchQueue;
  readonly client: CollectorClient;
  readonly wakeup: Wakeup;
  readonly identity: () => Identity;
  /** The line of a signed heartbeat with this nonce. */
  readonly heartbeat: (nonce: string) => Buffer;
  /** Milliseconds between heartbeats. */
  readonly heartbeatEvery: number;
  /** Whether this key was enrolled at this address, through restarts. */
  readonly enrolled: { get(): boolean; set(is: boolean): void };
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly onAttempt: (attempted: Attempted) => void;
  /** The collector holds other records of this chain than this agent. */
  readonly onFork: (seq: number) => void;
  readonly witness: Witness;
  /** Why the collector's log was rewritten, or that it was not. */
  readonly onLog: (fault: string | undefined) => void;
}

const mostRecords = 2048;
const mostBytes = 2 * 1024 * 1024;
/** A collector takes 512 envelopes in one request. */
const mostBatches = 500;

/** A collector that is started again is found soon: the records of an outage wait for it. */
const whileAway: Limits = { ...defaultLimits, base: 250, cap: 1000 };

/** Sends the queue's batches and a heartbeat at each interval, until the signal aborts. */
export async function report(sink: CollectorSink, signal: AbortSignal): Promise<void> {
  const loop = new Loop(sink, signal);
  while (!signal.aborted) await loop.step();
}

/** Batches after a record, and the part of a request that carries them. */
interface Parcel {
  readonly after: number;
  readonly batches: readonly LeasedBatch[];
  readonly body: Buffer;
}

class Loop {
  readonly #sink: CollectorSink;
  readonly #signal: AbortSignal;
  #nonce: string | undefined;
  /** Of performance.now(). */
  #nextHeartbeat = 0;
  #lostFrom: number | undefined;
  #mostBatches = mostBatches;
  /** It asked for earlier records, and has stored none since. */
  #isAskedBack = false;
  /** It enrolled the node, and has known it in no answer since. */
  #isNewcomer = false;
  /** What follows the parcel that is being sent, prepared meanwhile. */
  #ahead: Promise<Parcel | undefined> = Promise.resolve(undefined);

  constructor(sink: CollectorSink, signal: AbortSignal) {
    this.#sink = sink;
    this.#signal = signal;
  }

  async step(): Promise<void> {
    const { queue, name } = this.#sink;
    if (await awaitTurn(this.#sink, queue.state(name), this.#signal)) return;
    const parcel = await this.#nextParcel();
    const untilHeartbeat = this.#nextHeartbeat - performance.now();
    if (parcel.batches.length === 0 && untilHeartbeat > 0) return await this.#idle(untilHeartbeat);
    const ready = await this.#prepare();
    if (ready === undefined) return;
    if (ready !== "ready") return this.#fail(ready, parcel.batches);
    await this.#send(parcel);
  }

  async #nextParcel(): Promise<Parcel> {
    const { name, queue } = this.#sink;
    const seq = queue.state(name)?.seq ?? 0;
    const ahead = await this.#ahead;
    this.#ahead = Promise.resolve(undefined);
    return ahead?.after === seq ? ahead : await this.#pack(seq);
  }

  async #pack(after: number): Promise<Parcel> {
    const { name, queue, client } = this.#sink;
    const most = { maxRecords: mostRecords, maxBytes: mostBytes, maxBatches: this.#mostBatches };
    const batches = queue.leaseBatches(name, { ...most, now: Number.MAX_SAFE_INTEGER }, after);
    const lines = batches.flatMap(({ envelope, records }) => [
      Buffer.from(`${envelope}\n`),
      ...records.flatMap(({ bytes }) => [bytes, newline]),
    ]);
    return { after, batches, body: lines.length > 0 ? await client.pack(lines) : Buffer.alloc(0) };
  }

  /** Waits for a record, at most until the next heartbeat. */
  async #idle(ms: number): Promise<void> {
    const due = new AbortController();
    const timer = setTimeout(() => due.abort(), ms);
    try {
      await this.#sink.wakeup.idle(AbortSignal.any([this.#signal, due.signal]));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Has a nonce, and is enrolled. Undefined: the signal aborted. */
  async #prepare(): Promise<"ready" | Failure | undefined> {
    const { client, identity, enrolled } = this.#sink;
    if (this.#nonce === undefined) {
      const nonce = await client.nonce(identity().node, this.#signal);
      if (typeof nonce !== "string") return nonce;
      this.#nonce = nonce;
    }
    if (enrolled.get()) return "ready";
    const failure = await client.enrol(identity(), this.#nonce, this.#signal);
    this.#nonce = undefined;
    if (this.#signal.aborted) return undefined;
    if (failure) return { ...failure, why: `not enrolled: ${failure.why}` };
    enrolled.set(true);
    this.#isNewcomer = true;
    return await this.#prepare();
  }

  async #send({ batches, body }: Parcel): Promise<void> {
    const { client, heartbeat, heartbeatEvery } = this.#sink;
    const isDue = performance.now() >= this.#nextHeartbeat && this.#nonce !== undefined;
    const beat = isDue ? [await client.pack([heartbeat(this.#nonce ?? "")])] : [];
    const sending = client.send([body, ...beat], this.#lostFrom, this.#signal);
    const last = batches.at(-1)?.last;
    // A failure shows again when the parcel is made for real.
    if (last !== undefined) this.#ahead = this.#pack(last).catch(() => undefined);
    const sent = await sending;
    if (!sent) return;
    this.#nonce = sent.nonce;
    if (isDue && sent.kind !== "failed" && sent.kind !== "unknown")
      this.#nextHeartbeat = performance.now() + heartbeatEvery;
    this.#take(sent, batches);
  }

  #take(sent: Sent, batches: readonly LeasedBatch[]): void {
    const { onFork, onLog, witness } = this.#sink;
    if (sent.checkpoint !== undefined) onLog(witness.fault(sent));
    if (sent.kind === "unknown") return this.#forgotten(batches);
    if (sent.kind === "failed") return this.#failOrHalve(sent.outcome, batches);
    this.#isNewcomer = false;
    switch (sent.kind) {
      case "stored":
        return this.#stored(sent.ack, batches);
      case "gap":
        if (this.#settle(sent.ack, batches).length > 0) this.#isAskedBack = false;
        return this.#goBack(sent.expected, batches);
      case "fork":
        onFork(sent.seq);
        return this.#keptApart(sent.quarantined, batches);
    }
  }

  /** A 200 that does not confirm every record may come from something else at its address. */
  #stored(ack: number | undefined, batches: readonly LeasedBatch[]): void {
    const taken = this.#settle(ack, batches);
    if (taken.length === batches.length) return this.#succeed(taken);
    const why = `it confirms record ${ack ?? "none"}, expected ${batches.at(-1)?.last}`;
    this.#fail({ kind: "rejected", why }, batches);
  }

  #keptApart(quarantined: number, batches: readonly LeasedBatch[]): void {
    const taken = this.#settle(quarantined, batches);
    if (taken.length > 0 || batches.length === 0) return this.#succeed(taken);
    this.#fail({ kind: "rejected", why: "it keeps no more of this fork" }, batches);
  }

  /** A proxy on the way may take less in one request than the collector. */
  #failOrHalve(outcome: Failure, batches: readonly LeasedBatch[]): void {
    if (batches.length <= 1 || !/^status 413\b/.test(outcome.why))
      return this.#fail(outcome, batches);
    this.#mostBatches = Math.ceil(batches.length / 2);
  }

  /** Enrols again, but at once only if the node was known before. */
  #forgotten(batches: readonly LeasedBatch[]): void {
    const { name, queue, enrolled } = this.#sink;
    enrolled.set(false);
    if (!this.#isNewcomer) return queue.defer(name, 0, 0);
    const why = "it enrolled this node, and does not know it";
    this.#fail({ kind: "rejected", why }, batches);
  }

  /** Sends again from this number on; what the outbox no longer has is lost, which the next request says. */
  #goBack(expected: number, batches: readonly LeasedBatch[]): void {
    const { name, queue } = this.#sink;
    const failure = { kind: "rejected", why: `it asks for record ${expected}` } as const;
    const [oldest] = batches;
    if (this.#lostFrom === expected || !oldest || expected >= oldest.first)
      return this.#fail(failure, batches);
    queue.rewind(name, expected - 1);
    const limits = { maxRecords: 1, maxBytes: 1, now: Number.MAX_SAFE_INTEGER };
    const [next] = queue.leaseBatches(name, limits);
    this.#lostFrom = next && next.first > expected ? expected : undefined;
    if (this.#isAskedBack) this.#fail(failure, batches);
    this.#isAskedBack = true;
  }

  /** Settles the batches that it has up to this number, and returns them. */
  #settle(through: number | undefined, batches: readonly LeasedBatch[]): readonly LeasedBatch[] {
    const { name, queue } = this.#sink;
    const taken = batches.filter(({ last }) => last <= (through ?? 0));
    const [last] = taken.slice(-1);
    if (last) queue.settle(name, last.last);
    return taken;
  }

  #succeed(taken: readonly LeasedBatch[]): void {
    const { name, queue, onAttempt } = this.#sink;
    this.#lostFrom = undefined;
    this.#isAskedBack = false;
    this.#mostBatches = Math.min(2 * this.#mostBatches, mostBatches);
    if (taken.length === 0 && (queue.state(name)?.attempts ?? 0) > 0) queue.defer(name, 0, 0);
    const records = taken.flatMap((one) => one.records);
    const outcome: Outcome = { kind: "delivered" };
    onAttempt({ sink: name, outcome, records, failures: 0, broken: false });
  }

  #fail(outcome: Failure, batches: readonly LeasedBatch[]): void {
    const { name, queue, clock, random, onAttempt } = this.#sink;
    const failures = (queue.state(name)?.attempts ?? 0) + 1;
    const limits = isAway(outcome) ? whileAway : defaultLimits;
    const delay = delayAfter(outcome, failures, { random: random(), limits });
    queue.defer(name, failures, clock() + delay);
    const records = batches.flatMap((one) => one.records);
    onAttempt({ sink: name, outcome, records, failures, broken: failures >= brokenAfter, delay });
  }
}

const newline = Buffer.from("\n");

/** No collector answers at the address. */
function isAway({ kind, why }: Failure): boolean {
  return kind === "retry" && /^(?:not enrolled: )?(?:network|timeout):/.test(why);
}
