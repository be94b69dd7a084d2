import type { Database, Statement } from "better-sqlite3";
import { setTimeout } from "node:timers/promises";
import { isBusy } from "../../../core/error.ts";

/** Milliseconds for which one commit gathers work: those that wait share its write to the disk. */
const gather = 100;

/** Another process has the write lock: milliseconds until the next attempt, and attempts. */
const pause = 30;
const mostAttempts = 100;

interface Waiting {
  /** Does the work. Returns how its promise ends once the work is on the disk. */
  readonly attempt: () => Promise<() => void>;
  readonly reject: (error: unknown) => void;
}

/** Runs pieces of work in order, each undone alone if it throws, several in one commit. One connection has one. */
export class CommitQueue {
  readonly #db: Database;
  readonly #statements: Readonly<Record<"begin" | "commit" | "mark" | "keep" | "undo", Statement>>;
  readonly #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  readonly #committed: () => void;

  /** `committed` is called after each commit. */
  constructor(db: Database, committed: () => void) {
    this.#db = db;
    this.#committed = committed;
    this.#statements = {
      begin: db.prepare("BEGIN IMMEDIATE"),
      commit: db.prepare("COMMIT"),
      mark: db.prepare("SAVEPOINT work"),
      keep: db.prepare("RELEASE work"),
      undo: db.prepare("ROLLBACK TO work"),
    };
  }

  /** Its promise ends when the work is on the disk. Throws STATE_BUSY when another process keeps the lock. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const attempt = async (): Promise<() => void> => {
      const { mark, keep, undo } = this.#statements;
      mark.run();
      try {
        const result = await work();
        keep.run();
        return () => resolve(result);
      } catch (error) {
        // A full disk, for example, has undone the whole transaction.
        if (!this.#db.inTransaction) throw error;
        undo.run();
        keep.run();
        return () => reject(error);
      }
    };
    this.#waiting.push({ attempt, reject });
    this.#running ??= this.#runAll();
    return await promise;
  }

  async drain(): Promise<void> {
    await this.#running;
  }

  async #runAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#commit();
    this.#running = undefined;
  }

  async #commit(): Promise<void> {
    const taken: Waiting[] = [];
    const ends: (() => void)[] = [];
    try {
      await this.#begin();
      const until = performance.now() + gather;
      do {
        const next = this.#waiting.shift();
        if (!next) break;
        taken.push(next);
        ends.push(await next.attempt());
      } while (performance.now() < until);
      this.#statements.commit.run();
      for (const end of ends) end();
      this.#committed();
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
      for (const { reject } of taken.length > 0 ? taken : this.#waiting.splice(0)) reject(error);
    }
  }

  /** Waits between the attempts without blocking the event loop. */
  async #begin(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#statements.begin.run();
        return;
      } catch (error) {
        if (!isBusy(error) || attempt >= mostAttempts) throw error;
        await setTimeout(pause);
      }
    }
  }
}
