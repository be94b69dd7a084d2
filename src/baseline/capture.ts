import type { Database, Statement as Prepared } from "better-sqlite3";
import { closeSync, openSync, rmSync } from "node:fs";
import { join } from "node:path";
import { IntegrityError } from "../core/error.ts";
import { fsPath } from "../core/path.ts";
import { digestRows } from "../core/record/statement.ts";
import type { RowsDigest } from "../core/record/statement.ts";
import { explain } from "../sqlite/fault.ts";
import { signedRows } from "./rows.ts";

/**
 * An unfinished baseline. Its rows wait in a scratch database, so that a capture of minutes neither locks the state
 * nor costs memory, and a crash leaves only a file to delete.
 */
export class Capture {
  /** It may replace an existing baseline. */
  readonly replace: boolean;
  readonly #db: Database;
  readonly #file: string;
  readonly #insert: Prepared<[string | Buffer, string]>;
  #attached = false;

  constructor(
    db: Database,
    { stateDir, replace }: { readonly stateDir: string; readonly replace: boolean },
  ) {
    this.replace = replace;
    this.#db = db;
    this.#file = join(stateDir, "capture.tmp");
    try {
      makeScratch(this.#file);
      db.prepare("ATTACH ? AS capture").run(this.#file);
      this.#attached = true;
      db.pragma("capture.page_size = 16384");
      db.pragma("capture.journal_mode = OFF");
      db.pragma("capture.synchronous = OFF");
      db.pragma("capture.locking_mode = EXCLUSIVE");
      db.pragma("capture.cache_size = -4000");
      db.exec(
        "CREATE TABLE capture.taken (path BLOB PRIMARY KEY, row BLOB NOT NULL) STRICT, WITHOUT ROWID",
      );
      // Binding a string takes half the time of binding a Buffer.
      this.#insert = db.prepare(
        "INSERT OR REPLACE INTO capture.taken (path, row) VALUES (CAST(? AS BLOB), CAST(? AS BLOB))",
      );
    } catch (error) {
      this[Symbol.dispose]();
      throw explain(error, this.#file);
    }
  }

  /** Adds some hundred paths and their rows (rowOf) at a time. */
  add(rows: Iterable<readonly [path: string, row: string]>): void {
    try {
      this.#db.transaction(() => {
        for (const [path, row] of rows) this.#insert.run(fsPath(path), row);
      })();
    } catch (error) {
      throw explain(error, this.#file);
    }
  }

  digest(): RowsDigest {
    return digestRows(signedRows(this.#db, "capture.taken"));
  }

  /** Replaces the baseline's rows. Runs in a transaction. */
  replaceBaseline(): void {
    this.#db.exec("DELETE FROM baseline");
    // OR FAIL avoids the statement journal, which SQLite would keep in memory.
    this.#db.exec(
      "INSERT OR FAIL INTO baseline (path, row) SELECT path, row FROM capture.taken ORDER BY path",
    );
  }

  [Symbol.dispose](): void {
    if (!this.#attached) return;
    this.#attached = false;
    this.#db.exec("DETACH capture");
    rmSync(this.#file, { force: true });
  }
}

/** An empty file of ours, replacing what a crash left. */
function makeScratch(file: string): void {
  try {
    rmSync(file, { force: true });
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const found = code.endsWith("EISDIR") ? "a directory" : `cannot be made (${code})`;
    throw new IntegrityError("STATE_UNUSABLE", `${file}: ${found}, expected a file of ours`, {
      hint: "find out who made it and remove it; the state directory must be writable and have room",
      cause: error,
    });
  }
}
