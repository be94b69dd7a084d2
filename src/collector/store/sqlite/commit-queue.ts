import type { Database, Statement } from "better-sqlite3";
import { setImmediate, setTimeout } from "node:timers/promises";
import { isBusy } from "../../../core/error.ts";

/** Milliseconds for which one commit gathers work: all of it shares one write to the disk. */
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
  /** Pieces of work that are not ready yet. */
  #expected = 0;
  #arrived: (() => void) | undefined;
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

  /**
   * Begins the work after `ready`; a commit waits a moment for what is not ready yet. The work may run twice, the first
   * time without effect. Its promise ends when the work is on the disk. Throws STATE_BUSY when another process keeps the
   * lock, and what `ready` throws.
   */
  async run<Result>(work: () => Promise<Result>, ready?: Promise<unknown>): Promise<Result> {
    if (ready) await this.#expect(ready);
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const attempt = async (): Promise<() => void> => {
      const result = await work();
      return () => resolve(result);
    };
    this.#waiting.push({ attempt, reject });
    this.#arrived?.();
    this.#running ??= this.#runAll();
    return await promise;
  }

  async drain(): Promise<void> {
    await this.#running;
  }

  async #expect(ready: Promise<unknown>): Promise<void> {
    this.#expected += 1;
    try {
      await ready;
    } finally {
      this.#expected -= 1;
      this.#arrived?.();
    }
  }

  async #runAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#commit();
    this.#running = undefined;
  }

  async #commit(): Promise<void> {
    const taken: Waiting[] = [];
    try {
      await this.#begin();
      const ends = (await this.#runTogether(taken)) ?? (await this.#runApart(taken));
      this.#statements.commit.run();
      for (const end of ends) end();
      this.#committed();
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec("ROLLBACK");
      for (const { reject } of taken.length > 0 ? taken : this.#waiting.splice(0)) reject(error);
    }
  }

  /**
   * Runs what waits and what arrives meanwhile. Undefined: one piece of work threw, and the transaction began again. A
   * savepoint for each piece would copy every page that it changes.
   */
  async #runTogether(taken: Waiting[]): Promise<readonly (() => void)[] | undefined> {
    const until = performance.now() + gather;
    const ends: (() => void)[] = [];
    do {
      const next = this.#waiting.shift() ?? (await this.#next(until));
      if (!next) break;
      taken.push(next);
      try {
        ends.push(await next.attempt());
      } catch (error) {
        // A full disk, for example, has undone the whole transaction.
        if (!this.#db.inTransaction) throw error;
        this.#db.exec("ROLLBACK");
        await this.#begin();
        return undefined;
      }
    } while (performance.now() < until);
    return ends;
  }

  /** Runs each so that it is undone alone if it throws. */
  async #runApart(taken: readonly Waiting[]): Promise<readonly (() => void)[]> {
    const { mark, keep, undo } = this.#statements;
    const ends: (() => void)[] = [];
    for (const { attempt, reject } of taken) {
      mark.run();
      try {
        ends.push(await attempt());
      } catch (error) {
        if (!this.#db.inTransaction) throw error;
        undo.run();
        ends.push(() => reject(error));
      }
      keep.run();
    }
    return ends;
  }

  /** The next one that gets ready in this time, if any is expected after one turn of the event loop. */
  async #next(until: number): Promise<Waiting | undefined> {
    if (this.#expected === 0) await setImmediate();
    if (this.#waiting.length > 0) return this.#waiting.shift();
    while (this.#expected > 0 && performance.now() < until) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#arrived = resolve;
      const timer = globalThis.setTimeout(resolve, Math.ceil(until - performance.now()));
      await promise;
      clearTimeout(timer);
      this.#arrived = undefined;
      const next = this.#waiting.shift();
      if (next) return next;
    }
    return undefined;
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
