import type { Database, Statement } from "better-sqlite3";
import { rowOf } from "../core/change/observation.ts";
import type { Observation } from "../core/change/observation.ts";
import { decodePath, encodePath } from "../core/path.ts";
import { rangeBelow, readRows } from "./rows.ts";
import type { Known, Rows } from "./rows.ts";

/** The last observation of each path, written in the transaction that queues the alert. */
export class Current implements Rows {
  readonly #rows: Rows;
  readonly #put: Statement<[Buffer, Buffer, string, string]>;
  readonly #delete: Statement<[Buffer]>;
  readonly #byInode: Statement<[string, string], Buffer>;
  readonly #rename: Statement<[Buffer, number, Buffer, Buffer]>;
  readonly #clear: Statement<[]>;
  readonly #load: Statement<[]>;

  constructor(db: Database) {
    this.#rows = readRows(db, "current");
    this.#put = db.prepare(
      "INSERT OR REPLACE INTO current (path, row, dev, ino) VALUES (?, ?, ?, ?)",
    );
    this.#delete = db.prepare("DELETE FROM current WHERE path = ?");
    this.#byInode = db
      .prepare<[string, string], Buffer>(
        "SELECT path FROM current WHERE ino = ? AND dev = ? ORDER BY path",
      )
      .pluck();
    this.#rename = db.prepare(
      "UPDATE OR REPLACE current SET path = CAST(? || substr(path, ?) AS BLOB) WHERE path > ? AND path < ?",
    );
    this.#clear = db.prepare("DELETE FROM current");
    this.#load = db.prepare(
      `INSERT OR FAIL INTO current (path, row, dev, ino)
       SELECT path, row, CAST(row AS TEXT) ->> '$.dev', CAST(row AS TEXT) ->> '$.ino' FROM baseline ORDER BY path`,
    );
  }

  get(path: string): Observation | undefined {
    return this.#rows.get(path);
  }

  put(path: string, seen: Observation): void {
    this.#put.run(encodePath(path), Buffer.from(rowOf(seen)), seen.dev, seen.ino);
  }

  /** False: absent. */
  delete(path: string): boolean {
    return this.#delete.run(encodePath(path)).changes > 0;
  }

  holds(path: string, row: string): boolean | undefined {
    return this.#rows.holds(path, row);
  }

  paths(from?: string): Iterable<string> {
    return this.#rows.paths(from);
  }

  all(): Iterable<Known> {
    return this.#rows.all();
  }

  below(dir: string): Iterable<Known> {
    return this.#rows.below(dir);
  }

  count(): number {
    return this.#rows.count();
  }

  /** Every known name of an inode. */
  findByInode(dev: string, ino: string): string[] {
    return this.#byInode.all(ino, dev).map(decodePath);
  }

  /** Moves everything below a directory to its new name, over what was known there. Returns the number of paths. */
  renameBelow(from: string, to: string): number {
    const old = encodePath(from);
    const [after, before] = rangeBelow(from);
    return this.#rename.run(encodePath(to), old.length + 1, after, before).changes;
  }

  /** Copies the approved state to the last seen one. Runs in a transaction. */
  loadFromBaseline(): number {
    this.#clear.run();
    return this.#load.run().changes;
  }
}
