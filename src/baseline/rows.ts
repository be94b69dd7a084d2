import type { Database } from "better-sqlite3";
import { parseRow } from "../core/change/observation.ts";
import type { Observation } from "../core/change/observation.ts";
import type { SignedRow } from "../core/record/statement.ts";
import { decodePath, encodePath, fsPath } from "../core/path.ts";

/** A path and its stored row. */
export interface Known {
  readonly path: string;
  readonly observation: Observation;
}

/** Reads a table of paths and rows. Keeps no statement open between steps, so that the table may change. */
export interface Rows {
  get(path: string): Observation | undefined;
  /** Whether exactly this row is stored. Undefined: no row. */
  holds(path: string, row: string): boolean | undefined;
  /** In order of the paths' bytes. */
  all(): Iterable<Known>;
  /** Everything strictly below the directory, in order. */
  below(dir: string): Iterable<Known>;
  /** The path, if known, and everything below it, in order, without rows. Without a path: all. */
  paths(from?: string): Iterable<string>;
  count(): number;
}

const pageSize = 500;
const slash = 0x2f;
const everything: Range = [Buffer.alloc(0), Buffer.of(0xff)];

export function readRows(db: Database, table: "baseline" | "current"): Rows {
  const get = db
    .prepare<[Key], string>(`SELECT CAST(row AS TEXT) FROM ${table} WHERE path = CAST(? AS BLOB)`)
    .pluck();
  const holds = db
    .prepare<[string, Key], number>(
      `SELECT row = CAST(? AS BLOB) FROM ${table} WHERE path = CAST(? AS BLOB)`,
    )
    .pluck();
  const count = db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck();
  const rows = pager(db, table, "row");
  const names = pager(db, table, "x''");
  return {
    get(path) {
      const row = get.get(fsPath(path));
      return row === undefined ? undefined : parseRow(row);
    },
    holds(path, row) {
      const same = holds.get(row, fsPath(path));
      return same === undefined ? undefined : same === 1;
    },
    all: () => known(rows(everything)),
    below: (dir) => known(rows(rangeBelow(dir))),
    *paths(from) {
      if (from !== undefined && get.get(fsPath(from)) !== undefined) yield from;
      for (const [path] of names(from === undefined ? everything : rangeBelow(from)))
        yield pathOf(path);
    },
    count: () => count.get() ?? 0,
  };
}

/** All rows in signing order. */
export function signedRows(db: Database, table: "baseline" | "capture.taken"): Iterable<SignedRow> {
  return pager(db, table, "row")(everything);
}

type Key = string | Buffer;

/**
 * Reads rows page by page, as text, which costs half of a Buffer for each and leaves no memory outside the heap; as
 * bytes where the text would not be exact.
 */
function pager(
  db: Database,
  table: string,
  row: "row" | "x''",
): (range: Range) => Iterable<SignedRow> {
  const where = `FROM ${table} WHERE path > CAST(? AS BLOB) AND path < ? ORDER BY path LIMIT ${pageSize}`;
  const asText = db
    .prepare<[Key, Buffer], [string, string]>(
      `SELECT CAST(path AS TEXT), CAST(${row} AS TEXT) ${where}`,
    )
    .raw();
  const asBytes = db.prepare<[Key, Buffer], [Buffer, Buffer]>(`SELECT path, ${row} ${where}`).raw();
  return function* ([after, before]) {
    for (let from: Key = after; ;) {
      const texts = asText.all(from, before);
      const page: readonly SignedRow[] = texts.every(isExact) ? texts : asBytes.all(from, before);
      yield* page;
      const last: SignedRow | undefined = page.at(-1);
      if (!last || page.length < pageSize) return;
      [from] = last;
    }
  };
}

/** Bytes that are not UTF-8 become U+FFFD, and so does U+FFFD itself. */
function isExact([path, row]: readonly [string, string]): boolean {
  return !path.includes("\ufffd") && !row.includes("\ufffd");
}

function* known(rows: Iterable<SignedRow>): Iterable<Known> {
  for (const [path, row] of rows)
    yield { path: pathOf(path), observation: parseRow(row.toString()) };
}

function pathOf(path: Key): string {
  return typeof path === "string" ? path : decodePath(path);
}

type Range = readonly [after: Buffer, before: Buffer];

/** The open interval of bytes in which every path below the directory lies: "/a/" to "/a0", for "0" follows "/". */
export function rangeBelow(dir: string): Range {
  const bytes = dir === "/" ? Buffer.alloc(0) : encodePath(dir);
  return [Buffer.concat([bytes, Buffer.of(slash)]), Buffer.concat([bytes, Buffer.of(slash + 1)])];
}
