import type { Database } from "better-sqlite3";
import { parseRow } from "../core/observation.ts";
import type { Observation } from "../core/observation.ts";
import type { SignedRow } from "../core/statement.ts";
import { decodePath, encodePath } from "../core/path.ts";

/** A path and what is stored of it. */
export interface Known {
  readonly path: string;
  readonly observation: Observation;
}

/** Reads a table of paths and rows. Nothing stays open between two steps, so that the table may change meanwhile. */
export interface Rows {
  get(path: string): Observation | undefined;
  /** In order of the paths' bytes. */
  all(): Iterable<Known>;
  /** Everything strictly below the directory, in order. */
  below(dir: string): Iterable<Known>;
  count(): number;
}

const pageSize = 500;
const slash = 0x2f;

export function readRows(db: Database, table: "baseline" | "current"): Rows {
  const get = db.prepare<[Buffer], Buffer>(`SELECT row FROM ${table} WHERE path = ?`).pluck();
  const count = db.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck();
  const page = db
    .prepare<[Buffer, Buffer], [Buffer, Buffer]>(
      `SELECT path, row FROM ${table} WHERE path > ? AND path < ? ORDER BY path LIMIT ${pageSize}`,
    )
    .raw();
  function* between([after, before]: Range): Iterable<Known> {
    for (let from = after; ;) {
      const found = page.all(from, before);
      for (const [path, row] of found) yield { path: decodePath(path), observation: parse(row) };
      const last = found.at(-1);
      if (!last || found.length < pageSize) return;
      from = last[0];
    }
  }
  return {
    get(path) {
      const row = get.get(encodePath(path));
      return row && parse(row);
    },
    all: () => between([Buffer.alloc(0), Buffer.of(0xff)]),
    below: (dir) => between(rangeBelow(dir)),
    count: () => count.get() ?? 0,
  };
}

/** All rows of a table in the order in which they are signed. Half the time of it is the making of Buffers: one a row. */
export function* signedRows(
  db: Database,
  table: "baseline" | "capture.taken",
): Iterable<SignedRow> {
  const all = db
    .prepare<[], [Buffer, number]>(
      `SELECT CAST(path || row AS BLOB), length(path) FROM ${table} ORDER BY path`,
    )
    .raw();
  for (const [both, length] of all.iterate())
    yield [both.subarray(0, length), both.subarray(length)];
}

export type Range = readonly [after: Buffer, before: Buffer];

/** The open interval of bytes in which every path below the directory lies: "/a/" to "/a0", for "0" follows "/". */
export function rangeBelow(dir: string): Range {
  const bytes = dir === "/" ? Buffer.alloc(0) : encodePath(dir);
  return [Buffer.concat([bytes, Buffer.of(slash)]), Buffer.concat([bytes, Buffer.of(slash + 1)])];
}

function parse(row: Buffer): Observation {
  return parseRow(row.toString("utf8"));
}
