import type { Database } from "better-sqlite3";
import type { AlertQuery } from "../store.ts";
import { findByGlob } from "./glob.ts";
import { endOf, isGlob, nodesOf, partsOf, ranksWanted, run, whereOf } from "./parts.ts";
import type { Part, Statement } from "./parts.ts";
import type { PathNames } from "./path-names.ts";

/**
 * Finds the records of a query's alerts, in order, without reading any record. Each severity is a range of one index,
 * read in order up to the limit; then they are merged. So a query that few of a million alerts fit, and one that very
 * many fit, both read little (003-search.sql has the indexes). `names` is read only for a path with wildcards.
 */
export function findRecords(db: Database, query: AlertQuery, names: PathNames): readonly number[] {
  const nodes = nodesOf(db, query);
  if (nodes?.length === 0 || query.severities?.length === 0) return [];
  const parts = partsOf(query, nodes);
  if (isGlob(query.path)) return findByGlob({ db, names, query, parts }, query.path);
  const lead = leads.find((name) =>
    parts.some(({ column, test }) => column === name && test === "= ?"),
  );
  const statement =
    lead === undefined && isSmallRange(db, query)
      ? inRange(query, parts)
      : inArms(query, parts, lead);
  return run(db, statement);
}

/** Columns that begin an index, the most selective first. */
const leads = ["incident", "path", "pod", "program", "node", "rule", "change"] as const;

/** One range of an index for each severity; the whole table where nothing else is asked for. */
function inArms(query: AlertQuery, parts: readonly Part[], lead: string | undefined): Statement {
  const end = endOf(query);
  const isWhole = !parts.some(({ column }) =>
    [...leads, "severity", "acknowledged"].includes(column),
  );
  const others = parts.filter(({ column }) => column !== "severity");
  const { sql, values } = whereOf(others, ["record", lead ?? "acknowledged"]);
  const conditions = isWhole
    ? [sql]
    : rangesOf(query, lead).flatMap((range) =>
        ranksWanted(query).map((rank) => `${range} AND severity = ${rank} AND ${sql}`),
      );
  const arms = conditions.map(
    (one) => `SELECT record FROM (SELECT record FROM alert WHERE ${one} ${end})`,
  );
  return {
    sql: `${arms.join(" UNION ALL ")} ${end}`,
    values: [...arms.flatMap(() => [...values, query.limit]), query.limit],
  };
}

/** What begins the ranges: the index of open alerts serves for severities alone, too. */
function rangesOf({ acknowledged }: AlertQuery, lead: string | undefined): readonly string[] {
  return lead === undefined && acknowledged === undefined
    ? ["acknowledged = 0", "acknowledged = 1"]
    : ["TRUE"];
}

/** This many alerts are sorted in some milliseconds. */
const fewAlerts = 20_000;
/** Of a time in the past: these are sorted sooner than all that came later are passed over. */
const fewOfPast = 100_000;

/** True if few alerts happened in the time that the query names. */
function isSmallRange(db: Database, { since, until }: AlertQuery): boolean {
  if (since === undefined && until === undefined) return false;
  const sql = "SELECT count(*) FROM (SELECT 1 FROM alert WHERE at >= ? AND at < ? LIMIT ?)";
  const few = until === undefined ? fewAlerts : fewOfPast;
  const count = db
    .prepare<unknown[], number>(sql)
    .pluck()
    .get(since ?? 0, until ?? Number.MAX_SAFE_INTEGER, few);
  return (count ?? 0) < few;
}

/** By the time at which they happened, then sorted. */
function inRange(query: AlertQuery, parts: readonly Part[]): Statement {
  const { sql, values } = whereOf(parts, ["at"]);
  return {
    sql: `SELECT record FROM alert INDEXED BY alert_at WHERE ${sql} ${endOf(query)}`,
    values: [...values, query.limit],
  };
}
