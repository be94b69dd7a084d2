import type { Database, Statement } from "better-sqlite3";
import type { Leased, LeaseLimits, SinkState } from "../core/record/queued.ts";
import { readMeta, transact, writeMeta } from "../sqlite/open.ts";
import { headKey, parseTail } from "./tail.ts";

/** A queued batch: the signature and its records. */
interface LeasedBatch {
  readonly first: number;
  readonly last: number;
  /** JSON of the DSSE envelope, as signed. */
  readonly envelope: string;
  readonly records: readonly Leased[];
}

/** Where a new sink begins: at the oldest retained record, or after the newest. */
interface NewSink {
  readonly name: string;
  readonly from: "oldest" | "head";
}

interface Backlog {
  readonly records: number;
  readonly bytes: number;
}

interface SinkRow {
  readonly seq: number;
  readonly attempts: number;
  readonly next_at: number;
  readonly state: "active" | "disabled" | "absent";
  readonly reason: string | null;
}

/** Each sink's place in the chain. One consumer a sink; unsettled records are leased again. */
export class Queue {
  readonly #db: Database;
  readonly #sink: Statement<[string], SinkRow>;
  readonly #after: Statement<[number, number], Leased>;
  readonly #batches: Statement<[number], { first: number; last: number; envelope: string }>;
  readonly #settle: Statement<[{ name: string; seq: number }]>;
  /** Each sink's row as this process last left it: no other process writes it while the agent watches. */
  readonly #known = new Map<string, SinkRow>();
  /** Called when another process has altered a sink's row; the row is put back. */
  onAltered: ((sink: string, found: string) => void) | undefined;

  constructor(db: Database) {
    this.#db = db;
    this.#sink = db.prepare(
      "SELECT seq, attempts, next_at, state, reason FROM sink WHERE name = ?",
    );
    this.#after = db.prepare("SELECT seq, bytes FROM record WHERE seq > ? ORDER BY seq LIMIT ?");
    this.#batches = db.prepare(
      "SELECT first, last, envelope FROM batch WHERE last > ? ORDER BY last",
    );
    this.#settle = db.prepare(
      `UPDATE sink SET seq = @seq, attempts = 0, next_at = 0
       WHERE name = @name AND seq < @seq AND @seq <= (SELECT max(seq) FROM record)`,
    );
  }

  /** True: no sink was ever registered. */
  isFirst(): boolean {
    return this.#db.prepare<[], number>("SELECT count(*) FROM sink").pluck().get() === 0;
  }

  /** Makes exactly these the sinks that records are kept for. A returning sink continues at its place. */
  register(sinks: readonly NewSink[]): void {
    const add = this.#db.prepare(
      `INSERT INTO sink (name, seq) VALUES (?, ?)
       ON CONFLICT (name) DO UPDATE SET state = 'active' WHERE state = 'absent'`,
    );
    transact(this.#db, () => {
      const names = JSON.stringify(sinks.map(({ name }) => name));
      this.#db
        .prepare(
          "UPDATE sink SET state = 'absent' WHERE name NOT IN (SELECT value FROM json_each(?))",
        )
        .run(names);
      for (const { name, from } of sinks)
        add.run(name, from === "head" ? this.#head().seq : this.#oldest() - 1);
    });
    this.#known.clear();
    for (const { name } of sinks) this.#rewindBeyondHead(name);
    for (const { name } of sinks) this.#remember(name);
  }

  /** The next records for a sink, in order, at least one; none while it must wait or is disabled. */
  lease(sink: string, limits: LeaseLimits): Leased[] {
    const cursor = this.#due(sink, limits.now);
    if (cursor === undefined) return [];
    const leased: Leased[] = [];
    let bytes = 0;
    for (const record of this.#after.iterate(cursor, limits.maxRecords)) {
      bytes += record.bytes.length;
      if (leased.length > 0 && bytes > limits.maxBytes) break;
      leased.push(record);
    }
    return leased;
  }

  /** The same in whole batches; the first may begin before the sink's place. Or those after a record. */
  leaseBatches(sink: string, limits: LeaseLimits, after?: number): LeasedBatch[] {
    const cursor = after ?? this.#due(sink, limits.now);
    if (cursor === undefined) return [];
    const leased: LeasedBatch[] = [];
    let records = 0;
    let bytes = 0;
    for (const { first, last, envelope } of this.#batches.iterate(cursor)) {
      if (leased.length >= (limits.maxBatches ?? Infinity)) break;
      const count = last - first + 1;
      records += count;
      if (leased.length > 0 && records > limits.maxRecords) break;
      const batch = {
        first,
        last,
        envelope,
        records: this.#after.all(first - 1, count),
      };
      bytes += batch.records.reduce((sum, one) => sum + one.bytes.length, 0);
      if (leased.length > 0 && bytes > limits.maxBytes) break;
      leased.push(batch);
    }
    return leased;
  }

  /** Marks everything up to this record as settled. An older number changes nothing. */
  settle(sink: string, seq: number): void {
    transact(this.#db, () => this.#settle.run({ name: sink, seq }));
    this.#remember(sink);
  }

  /** Sends what comes after this record again. */
  rewind(sink: string, seq: number): void {
    const update = this.#db.prepare("UPDATE sink SET seq = ? WHERE name = ? AND seq > ?");
    transact(this.#db, () => update.run(seq, sink, seq));
    this.#remember(sink);
  }

  defer(sink: string, attempts: number, nextAt: number): void {
    const update = this.#db.prepare("UPDATE sink SET attempts = ?, next_at = ? WHERE name = ?");
    transact(this.#db, () => update.run(attempts, Math.ceil(nextAt), sink));
    this.#remember(sink);
  }

  /**
   * Leases and keeps nothing for it until it is enabled, also after restarts. `keys` identifies the keys in use: other
   * ones enable the sink.
   */
  disable(sink: string, reason: string, keys = ""): void {
    const update = this.#db.prepare(
      "UPDATE sink SET state = 'disabled', reason = ? WHERE name = ?",
    );
    transact(this.#db, () => {
      update.run(reason, sink);
      writeMeta(this.#db, keysOf(sink), keys);
    });
    this.#remember(sink);
  }

  /** The keys that were in use when the sink was disabled. */
  disabledWith(sink: string): string | undefined {
    return readMeta(this.#db, keysOf(sink));
  }

  enable(sink: string): void {
    const update = this.#db.prepare(
      "UPDATE sink SET state = 'active', reason = NULL, attempts = 0, next_at = 0 WHERE name = ?",
    );
    transact(this.#db, () => update.run(sink));
    this.#remember(sink);
  }

  state(sink: string): SinkState | undefined {
    this.#putBack(sink);
    const row = this.#sink.get(sink);
    if (!row || row.state === "absent") return undefined;
    return {
      seq: row.seq,
      attempts: row.attempts,
      nextAt: row.next_at,
      disabled: row.state === "disabled",
      ...(row.reason !== null && { reason: row.reason }),
    };
  }

  /** The records that wait for a sink. */
  pending(sink: string): Backlog {
    const row = this.#sink.get(sink);
    return row ? this.#since(row.seq) : { records: 0, bytes: 0 };
  }

  /** The records that wait for the slowest active sink. */
  backlog(): Backlog {
    const slowest = this.#slowest();
    return slowest === undefined ? { records: 0, bytes: 0 } : this.#since(slowest);
  }

  /**
   * Deletes whole batches that every active sink has, oldest first, while more than this is kept; never the last one.
   * At most some thousand records a call, to stay quick. `note` appends a signed record of the last deleted number in
   * the same transaction, for `verify`. Returns how many records went.
   */
  prune({ keepBytes, note }: { keepBytes: number; note: (through: number) => void }): number {
    return transact(this.#db, () => {
      const head = this.#head();
      const settled = Math.min(this.#slowest() ?? head.seq, head.seq - 1);
      const last = this.#db
        .prepare<[number, number, number], number>(
          `SELECT max(last) FROM (
             SELECT batch.last FROM batch JOIN record ON record.seq = batch.first
             WHERE batch.last <= ? AND ? - (record.total - record.size) > ?
             ORDER BY batch.last LIMIT 200)`,
        )
        .pluck()
        .get(settled, head.total, keepBytes);
      if (!last) return 0;
      note(last);
      return this.#deleteUpTo(last);
    });
  }

  /** A cursor beyond the head would silence the sink: its records are sent again. */
  #rewindBeyondHead(sink: string): void {
    const row = this.#sink.get(sink);
    if (!row || row.seq <= this.#head().seq) return;
    this.rewind(sink, this.#oldest() - 1);
    this.onAltered?.(sink, `its cursor was at ${row.seq}, beyond the chain's head`);
  }

  #remember(sink: string): void {
    const row = this.#sink.get(sink);
    if (row) this.#known.set(sink, row);
    else this.#known.delete(sink);
  }

  #putBack(sink: string): void {
    const known = this.#known.get(sink);
    const row = this.#sink.get(sink);
    if (!known || (row && row.seq === known.seq && row.state === known.state)) return;
    // `webhook test` enables a sink, which hides nothing.
    if (known.state === "disabled" && row?.state === "active" && row.seq === known.seq)
      return this.#remember(sink);
    const found = row ? `its cursor was at ${row.seq} (${row.state})` : "its row was gone";
    const put = this.#db.prepare(
      `INSERT OR REPLACE INTO sink (name, seq, attempts, next_at, state, reason)
       VALUES (?, ?, 0, 0, ?, ?)`,
    );
    transact(this.#db, () => put.run(sink, known.seq, known.state, known.reason));
    this.onAltered?.(sink, `${found}, expected ${known.seq} (${known.state})`);
  }

  #deleteUpTo(last: number): number {
    const { changes } = this.#db.prepare("DELETE FROM record WHERE seq <= ?").run(last);
    this.#db.prepare("DELETE FROM batch WHERE last <= ?").run(last);
    this.#db
      .prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('pruned', ?)")
      .run(String(last));
    this.#db.pragma("incremental_vacuum(2000)");
    return changes;
  }

  #due(sink: string, now: number): number | undefined {
    this.#putBack(sink);
    const row = this.#sink.get(sink);
    return row?.state === "active" && row.next_at <= now ? row.seq : undefined;
  }

  #slowest(): number | undefined {
    const seq = this.#db
      .prepare<[], number | null>("SELECT min(seq) FROM sink WHERE state = 'active'")
      .pluck()
      .get();
    return seq ?? undefined;
  }

  /** Each record holds the total of all sizes up to it, so that a backlog needs no sum. */
  #since(seq: number): Backlog {
    const from = this.#db
      .prepare<[number], { before: number; behind: number }>(
        "SELECT total - size AS before, seq - 1 AS behind FROM record WHERE seq > ? ORDER BY seq LIMIT 1",
      )
      .get(seq);
    const head = this.#head();
    if (!from) return { records: 0, bytes: 0 };
    return { records: head.seq - from.behind, bytes: head.total - from.before };
  }

  #oldest(): number {
    return this.#db.prepare<[], number | null>("SELECT min(seq) FROM record").pluck().get() ?? 1;
  }

  #head(): { readonly seq: number; readonly total: number } {
    return parseTail(readMeta(this.#db, headKey)) ?? { seq: 0, total: 0 };
  }
}

function keysOf(sink: string): string {
  return `keys of ${sink}`;
}
