import { IntegrityError } from "../../../core/error.ts";
import { isFiltered } from "../filtered.ts";
import type { AlertRow } from "../rows.ts";
import type { AlertQuery } from "../store.ts";
import type { Sql, TransactionSql } from "./connect.ts";
import { conditionsOf, isGlob, patternOf } from "./conditions.ts";
import type { Conditions } from "./conditions.ts";

/** The indexes are right also where the server has no statistics of a new day yet; compiling takes longer than a search. */
const settings = "SET LOCAL enable_seqscan = off; SET LOCAL jit = off";
/** Records among the newest in which a frequent text is looked for first. */
const recent = 20_000;
/** So few paths are read by their index sooner than those records. */
const fewNames = 3;
/** More paths than these are not looked up one by one. */
const mostNames = 2000;

const columns = `record, uid, node, type, severity, change, path, rule, incident, pod, program, at, received,
  acknowledged`;

export const alertSelect = `SELECT alert.record AS id, alert.uid, node.cluster, node.name AS node, alert.type,
  alert.severity, alert.change, alert.path, alert.rule, alert.incident, alert.pod, alert.program, alert.at,
  alert.received, alert.acknowledged,
  (SELECT max(id) FROM record WHERE id <= alert.record AND received = alert.received) AS pack`;

export const alertJoin = "LEFT JOIN node ON node.id = alert.node";

/** What a search makes of the rows that fit: `text` is the statement around the one that finds them. */
export interface Aim<Row extends object> {
  text(found: string, order: "ASC" | "DESC"): string;
  /** How many alerts are in the answer. */
  size(rows: readonly Row[]): number;
}

const listing: Aim<AlertRow> = {
  text: (found, order) =>
    `${alertSelect} FROM (${found}) AS alert ${alertJoin} ORDER BY alert.record ${order}`,
  size: (rows) => rows.length,
};

/** The alerts of a query, in its order. `limit`: milliseconds of a search. Throws SEARCH_SLOW. */
export async function findAlerts(
  sql: Sql,
  query: AlertQuery,
  limit: number,
): Promise<readonly AlertRow[]> {
  return await search(sql, query, { limit, aim: listing });
}

/** Searches, and makes of what fits what is aimed at. `limit`: milliseconds of a search. Throws SEARCH_SLOW. */
export async function search<Row extends object>(
  sql: Sql,
  query: AlertQuery,
  { limit, aim }: { readonly limit: number; readonly aim: Aim<Row> },
): Promise<readonly Row[]> {
  if (!isFiltered(query)) return await select(sql, query, { ...conditionsOf(query), aim });
  try {
    return await sql.begin("READ ONLY", async (tx) => {
      await tx.unsafe(`SET LOCAL statement_timeout = ${limit}; ${settings}`);
      return await findFiltered(tx, query, aim);
    });
  } catch (error) {
    // query_canceled
    if ((error as { readonly code?: unknown }).code !== "57014") throw error;
    throw new IntegrityError("SEARCH_SLOW", "the search takes too long", {
      hint: "name a node, a rule or a shorter time",
      cause: error,
    });
  }
}

async function findFiltered<Row extends object>(
  tx: TransactionSql,
  query: AlertQuery,
  aim: Aim<Row>,
): Promise<readonly Row[]> {
  const { path, after } = query;
  if (isGlob(path) && after === undefined) return await findByGlob(tx, { ...query, path }, aim);
  const isSorted = await isSmallRange(tx, query);
  return await select(tx, query, { ...conditionsOf(query), isSorted, aim });
}

/** True if few alerts happened in the time that the query names: they are found by that time, and sorted. */
async function isSmallRange(tx: TransactionSql, { since, until }: AlertQuery): Promise<boolean> {
  if (since === undefined && until === undefined) return false;
  const [row] = await tx<{ count: number }[]>`SELECT count(*) AS count FROM (SELECT FROM alert
    WHERE at >= ${since ?? 0} AND at < ${until ?? Number.MAX_SAFE_INTEGER} LIMIT ${recent}) AS few`;
  return (row?.count ?? 0) < recent;
}

/** Many paths fit: found among the newest alerts. Few fit: by the index of paths. */
async function findByGlob<Row extends object>(
  tx: TransactionSql,
  query: AlertQuery & { readonly path: string },
  aim: Aim<Row>,
): Promise<readonly Row[]> {
  const names = await tx<{ path: string }[]>`
    SELECT path FROM path_name WHERE path LIKE ${patternOf(query.path)} LIMIT ${mostNames + 1}`;
  if (names.length === 0) return [];
  const known = names.length > mostNames ? undefined : names.map((one) => one.path);
  const byNames: Way<Row> = { ...conditionsOf(query, known), isSorted: known !== undefined, aim };
  if (names.length <= fewNames) return await select(tx, query, byNames);
  const [newest] = await tx<{ last: number | null }[]>`SELECT max(record) AS last FROM alert`;
  const last = query.before ?? (newest?.last ?? 0) + 1;
  const window = { ...conditionsOf({ ...query, after: last - recent - 1 }), aim };
  const found = await select(tx, query, window);
  if (aim.size(found) === query.limit) return found;
  return await select(tx, query, byNames);
}

interface Way<Row extends object> extends Conditions {
  readonly aim: Aim<Row>;
  /** Found by another index than that of the order, which ends early only where much fits. */
  readonly isSorted?: boolean;
}

/** Each time planned for its values: a plan for any values takes the wrong index. */
async function select<Row extends object>(
  sql: Sql | TransactionSql,
  { after, limit }: AlertQuery,
  { where, values, isSorted = false, aim }: Way<Row>,
): Promise<readonly Row[]> {
  const order = after === undefined ? "DESC" : "ASC";
  const found = `SELECT ${columns} FROM alert ${where}
    ORDER BY record ${isSorted ? "+ 0 " : ""}${order} LIMIT $${values.length + 1}`;
  return await sql.unsafe<Row[]>(aim.text(found, order), [...values, limit]);
}
