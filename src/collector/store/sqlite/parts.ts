import type { Database } from "better-sqlite3";
import { severities } from "../../../core/policy/rule.ts";
import type { AlertQuery } from "../store.ts";

export interface Statement {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** One condition of a query. */
export interface Part {
  readonly column: string;
  /** "= ?" */
  readonly test: string;
  readonly value: unknown;
}

/** Ids of the nodes that the query names. Undefined: it names none. */
export function nodesOf(
  db: Database,
  { cluster, node }: AlertQuery,
): readonly number[] | undefined {
  if (cluster === undefined && node === undefined) return undefined;
  const sql =
    "SELECT id FROM node WHERE cluster = coalesce(?, cluster) AND name = coalesce(?, name)";
  return db
    .prepare<unknown[], number>(sql)
    .pluck()
    .all(cluster ?? null, node ?? null);
}

/** The conditions of a query. That of a path with wildcards is left to the caller. */
export function partsOf(query: AlertQuery, nodes: readonly number[] | undefined): readonly Part[] {
  const [node, second] = nodes ?? [];
  const { path, acknowledged } = query;
  const listed = "IN (SELECT value FROM json_each(?))";
  const parts: readonly Part[] = [
    { column: "incident", test: "= ?", value: query.incident },
    { column: "path", test: "= ?", value: isGlob(path) ? undefined : path },
    { column: "pod", test: "= ?", value: query.pod },
    { column: "program", test: "= ?", value: query.program },
    second === undefined
      ? { column: "node", test: "= ?", value: node }
      : { column: "node", test: listed, value: JSON.stringify(nodes) },
    { column: "rule", test: "= ?", value: query.rule },
    { column: "change", test: "= ?", value: query.change },
    { column: "type", test: "= ?", value: query.type },
    { column: "severity", test: listed, value: ranksOf(query) },
    {
      column: "acknowledged",
      test: "= ?",
      value: acknowledged === undefined ? undefined : Number(acknowledged),
    },
    { column: "at", test: ">= ?", value: query.since },
    { column: "at", test: "< ?", value: query.until },
    { column: "record", test: "< ?", value: query.before },
    { column: "record", test: "> ?", value: query.after },
  ];
  return parts.filter(({ value }) => value !== undefined);
}

/** Columns whose conditions end the range that is read; any other one can make it long. */
const ends: readonly string[] = ["record", "severity", "acknowledged"];

/**
 * The plus sign keeps the index of a column that is not named from being chosen (sqlite.org/optoverview.html).
 * Where rows are read that may not fit, `in_time` ends the statement when its time is over.
 */
export function whereOf(parts: readonly Part[], indexed: readonly string[]): Statement {
  const conditions = parts.map(
    ({ column, test }) => `${indexed.includes(column) ? "" : "+"}${column} ${test}`,
  );
  const mayBeLong = parts.some(({ column }) => !ends.includes(column));
  return {
    sql: ["TRUE", ...(mayBeLong ? ["in_time(record)"] : []), ...conditions].join(" AND "),
    values: parts.map(({ value }) => value),
  };
}

/** "ORDER BY record DESC LIMIT ?" */
export function endOf({ after }: AlertQuery): string {
  return `ORDER BY record ${after === undefined ? "DESC" : "ASC"} LIMIT ?`;
}

export function run(db: Database, { sql, values }: Statement): readonly number[] {
  return db
    .prepare<unknown[], number>(sql)
    .pluck()
    .all(...values);
}

export function ranksWanted({ severities: wanted }: AlertQuery): readonly number[] {
  return (wanted ?? severities).map((one) => severities.indexOf(one));
}

function ranksOf(query: AlertQuery): string | undefined {
  return query.severities && JSON.stringify(ranksWanted(query));
}

export function isGlob(path: string | undefined): path is string {
  return path !== undefined && /[*?]/.test(path);
}
