import type { Database } from "better-sqlite3";
import { setImmediate } from "node:timers/promises";
import { dayLength, dayOf } from "../days.ts";
import type { StoredDays } from "../days.ts";
import type { CommitQueue } from "./commit-queue.ts";

/** Batches of one transaction: others wait no longer for it. */
const batchesAtOnce = 200;
/** Free pages that are given back after each. */
const freedPages = 2000;

const oldestBatches = `SELECT leaf, leaf + last - first + 1 AS last FROM batch
  WHERE received < ? ORDER BY leaf LIMIT ${batchesAtOnce}`;

/** What is deleted of a batch: what refers to a row goes before it. */
const deletions = [
  "DELETE FROM comment WHERE record > @leaf AND record <= @last",
  "DELETE FROM alert WHERE record > @leaf AND record <= @last",
  "DELETE FROM record WHERE id > @leaf AND id <= @last",
  "DELETE FROM batch WHERE leaf = @leaf",
] as const;

export class SqliteDays implements StoredDays {
  readonly #db: Database;
  readonly #queue: CommitQueue;

  constructor(db: Database, queue: CommitQueue) {
    this.#db = db;
    this.#queue = queue;
  }

  async oldest(): Promise<number | undefined> {
    const received = this.#db
      .prepare<[], number>("SELECT received FROM batch ORDER BY leaf LIMIT 1")
      .pluck()
      .get();
    return received === undefined ? undefined : dayOf(received);
  }

  /** Reads on from the oldest batch: it is meant for the oldest days. */
  async newestOf(day: number): Promise<number> {
    const next = this.#db
      .prepare<[number], number>("SELECT leaf FROM batch WHERE received >= ? ORDER BY leaf LIMIT 1")
      .pluck()
      .get(day + dayLength);
    return (
      this.#db
        .prepare<[number], number | null>("SELECT max(record) FROM alert WHERE record <= ?")
        .pluck()
        .get(next ?? Number.MAX_SAFE_INTEGER) ?? 0
    );
  }

  async size(): Promise<number> {
    const [pages, free, bytes] = ["page_count", "freelist_count", "page_size"].map(
      (name) => this.#db.pragma(name, { simple: true }) as number,
    );
    return ((pages ?? 0) - (free ?? 0)) * (bytes ?? 0);
  }

  async drop(day: number): Promise<void> {
    const before = day + dayLength;
    while ((await this.#queue.run(async () => this.#dropSome(before))) > 0) {
      this.#db.pragma(`incremental_vacuum(${freedPages})`);
      await setImmediate();
    }
  }

  #dropSome(before: number): number {
    const batches = this.#db
      .prepare<[number], { leaf: number; last: number }>(oldestBatches)
      .all(before);
    for (const sql of deletions) {
      const statement = this.#db.prepare(sql);
      for (const batch of batches) statement.run(batch);
    }
    return batches.length;
  }
}
