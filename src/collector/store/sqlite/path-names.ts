import type { Database } from "better-sqlite3";

/** Bytes of the table. */
const mostBytes = 96 * 2 ** 20;
/** Names, or records, that are read before the size is looked at. */
const step = 5000;

/**
 * Every path that an alert has, once, in a temporary table of the connection: a million alerts have some thousand paths,
 * so a pattern is compared with few texts. It follows the alerts when it is asked, so it costs nothing where they are
 * stored. Paths of deleted alerts stay: they lead to no alert.
 */
export class PathNames {
  readonly #db: Database;
  readonly #most: number;
  /** The names of all alerts up to this record are known. Undefined: none was read yet. */
  #read: number | undefined;
  #isFull = false;

  constructor(db: Database, most = mostBytes) {
    this.#db = db;
    this.#most = most;
    db.exec("CREATE TEMP TABLE path_name (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID");
  }

  /** Paths that fit, in no order. `pattern`: of SQLite's GLOB. Undefined: there are too many paths to know all. */
  matching(pattern: string): readonly string[] | undefined {
    if (!this.#isFull) this.#follow();
    if (this.#isFull) return undefined;
    return this.#db
      .prepare<[string], string>("SELECT path FROM temp.path_name WHERE path GLOB ?")
      .pluck()
      .all(pattern);
  }

  #follow(): void {
    const last = this.#db.prepare<[], number | null>("SELECT max(record) FROM alert").pluck().get();
    if (this.#read === undefined) this.#readAll();
    else
      for (let from = this.#read; from < (last ?? 0); from += step)
        this.#add("SELECT path FROM alert WHERE record > ? LIMIT ?", from);
    this.#read = last ?? 0;
  }

  /** In the order of the index, which holds equal ones side by side. */
  #readAll(): void {
    for (let from: string | null = ""; from !== null && !this.#isFull;) {
      const added = this.#add(
        "SELECT DISTINCT path FROM alert INDEXED BY alert_path WHERE path > ? ORDER BY path LIMIT ?",
        from,
      );
      const end = "SELECT max(path) FROM temp.path_name";
      from = added < step ? null : (this.#db.prepare<[], string>(end).pluck().get() ?? null);
    }
  }

  #add(select: string, from: string | number): number {
    if (this.#isFull) return 0;
    const sql = `INSERT INTO temp.path_name SELECT path FROM (${select}) WHERE path IS NOT NULL ON CONFLICT DO NOTHING`;
    const { changes } = this.#db.prepare(sql).run(from, step);
    const pages = this.#db.pragma("temp.page_count", { simple: true }) as number;
    const size = this.#db.pragma("temp.page_size", { simple: true }) as number;
    this.#isFull = pages * size > this.#most;
    if (this.#isFull) this.#db.exec("DELETE FROM temp.path_name");
    return changes;
  }
}
