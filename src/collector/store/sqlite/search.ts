import type { Database } from "better-sqlite3";
import { severities } from "../../../core/policy/rule.ts";
import type { AlertQuery } from "../store.ts";

/**
 * Finds the records of a query's alerts, in order, without reading any record. Each severity is a range of one index,
 * read in order up to the limit; then they are merged. So a query that few of a million alerts fit, and one that very
 * many fit, both read little (003-search.sql has the indexes).
 */
export function findRecords(db: Database, query: AlertQuery): readonly number[] {
  const nodes = nodesOf(db, query);
  if (nodes?.length === 0 || query.severities?.length === 0) return [];
  const parts = partsOf(query, nodes);
  if (isGlob(query.path)) return findByGlob(db, query, parts);
  const lead = leads.find((name) =>
    parts.some(({ column, test }) => column === name && test === "= ?"),
  );
  const statement =
    lead === undefined && isSmallRange(db, query)
      ? inRange(query, parts)
      : inArms(query, parts, lead);
  return run(db, statement);
}

interface Statement {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** One condition of a query. */
interface Part {
  readonly column: string;
  /** "= ?" */
  readonly test: string;
  readonly value: unknown;
}

/** Columns that begin an index, the most selective first. */
const leads = ["incident", "path", "pod", "node", "rule", "change"] as const;

/** Ids of the nodes that the query names. Undefined: it names none. */
function nodesOf(db: Database, { cluster, node }: AlertQuery): readonly number[] | undefined {
  if (cluster === undefined && node === undefined) return undefined;
  const sql =
    "SELECT id FROM node WHERE cluster = coalesce(?, cluster) AND name = coalesce(?, name)";
  return db
    .prepare<unknown[], number>(sql)
    .pluck()
    .all(cluster ?? null, node ?? null);
}

function partsOf(query: AlertQuery, nodes: readonly number[] | undefined): readonly Part[] {
  const [node, second] = nodes ?? [];
  const { path, acknowledged } = query;
  const listed = "IN (SELECT value FROM json_each(?))";
  const parts: readonly Part[] = [
    { column: "incident", test: "= ?", value: query.incident },
    isGlob(path)
      ? { column: "path", test: "GLOB ?", value: globOf(path) }
      : { column: "path", test: "= ?", value: path },
    { column: "pod", test: "= ?", value: query.pod },
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

/** A plus sign keeps the index of a column that is not named from being chosen (sqlite.org/optoverview.html). */
function whereOf(parts: readonly Part[], indexed: readonly string[]): Statement {
  const conditions = parts.map(
    ({ column, test }) => `${indexed.includes(column) ? "" : "+"}${column} ${test}`,
  );
  return { sql: ["TRUE", ...conditions].join(" AND "), values: parts.map(({ value }) => value) };
}

/** One range of an index for each severity; the whole table where nothing else is asked for. */
function inArms(query: AlertQuery, parts: readonly Part[], lead: string | undefined): Statement {
  const end = endOf(query);
  const isWhole = !parts.some(({ column }) =>
    [...leads, "severity", "acknowledged"].includes(column),
  );
  const ranks = isWhole
    ? []
    : (query.severities ?? severities).map((one) => severities.indexOf(one));
  const others = parts.filter(({ column }) => column !== "severity");
  const { sql, values } = whereOf(others, ["record", lead ?? "acknowledged"]);
  const conditions =
    ranks.length > 0 ? ranks.map((rank) => `severity = ${rank} AND ${sql}`) : [sql];
  const arms = conditions.map(
    (one) => `SELECT record FROM (SELECT record FROM alert WHERE ${one} ${end})`,
  );
  return {
    sql: `${arms.join(" UNION ALL ")} ${end}`,
    values: [...arms.flatMap(() => [...values, query.limit]), query.limit],
  };
}

/** This many alerts are sorted in some milliseconds. */
const fewAlerts = 20_000;

/** True if few alerts happened in the time that the query names. */
function isSmallRange(db: Database, { since, until }: AlertQuery): boolean {
  if (since === undefined && until === undefined) return false;
  const sql = "SELECT count(*) FROM (SELECT 1 FROM alert WHERE at >= ? AND at < ? LIMIT ?)";
  const count = db
    .prepare<unknown[], number>(sql)
    .pluck()
    .get(since ?? 0, until ?? Number.MAX_SAFE_INTEGER, fewAlerts);
  return (count ?? 0) < fewAlerts;
}

/** By the time at which they happened, then sorted. */
function inRange(query: AlertQuery, parts: readonly Part[]): Statement {
  const { sql, values } = whereOf(parts, ["at"]);
  return {
    sql: `SELECT record FROM alert INDEXED BY alert_at WHERE ${sql} ${endOf(query)}`,
    values: [...values, query.limit],
  };
}

/** Records among the newest in which a frequent text is looked for first. */
const recent = 20_000;

/** Many paths fit: found among the newest alerts. Few fit: found by a walk over the index of paths, and sorted. */
function findByGlob(db: Database, query: AlertQuery, parts: readonly Part[]): readonly number[] {
  const { after, limit } = query;
  if (after === undefined) {
    const newest = query.before ?? newestOf(db) + 1;
    const { sql, values } = whereOf(parts, ["record"]);
    const among = `SELECT record FROM alert WHERE record >= ? AND ${sql} ${endOf(query)}`;
    const found = run(db, { sql: among, values: [newest - recent, ...values, limit] });
    if (found.length === limit) return found;
  }
  const { sql, values } = whereOf(parts, ["path"]);
  const walk = `SELECT record FROM alert INDEXED BY alert_path WHERE path IS NOT NULL AND ${sql} ${endOf(query)}`;
  return run(db, { sql: walk, values: [...values, limit] });
}

function newestOf(db: Database): number {
  return db.prepare<[], number | null>("SELECT max(record) FROM alert").pluck().get() ?? 0;
}

function endOf({ after }: AlertQuery): string {
  return `ORDER BY record ${after === undefined ? "DESC" : "ASC"} LIMIT ?`;
}

function run(db: Database, { sql, values }: Statement): readonly number[] {
  return db
    .prepare<unknown[], number>(sql)
    .pluck()
    .all(...values);
}

function ranksOf({ severities: wanted }: AlertQuery): string | undefined {
  return wanted && JSON.stringify(wanted.map((one) => severities.indexOf(one)));
}

function isGlob(path: string | undefined): path is string {
  return path !== undefined && /[*?]/.test(path);
}

/** SQLite's GLOB has sets in brackets; ours has none. */
function globOf(path: string): string {
  return path.replaceAll("[", "[[]");
}
