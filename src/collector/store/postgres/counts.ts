import { severities } from "../../../core/policy/rule.ts";
import { countedColumns, mostValues, tallies } from "../counts.ts";
import type { AlertCounts, CountedColumn, ValueCount } from "../counts.ts";
import type { AlertQuery } from "../store.ts";
import type { Sql } from "./connect.ts";
import { search } from "./search.ts";
import type { Aim } from "./search.ts";

interface CountRow {
  readonly column: CountedColumn;
  readonly value: string;
  readonly cluster: string | null;
  readonly count: number;
  /** Values of this column. */
  readonly distinct: number;
  /** Alerts that were counted. */
  readonly counted: number;
}

const pairs = countedColumns.map((one) => `('${one}', ${one}::text)`).join(", ");

const counting: Aim<CountRow> = {
  text: (found) => `WITH found AS MATERIALIZED (${found}), tally AS (
      SELECT pair.name, pair.value, count(*) AS count,
        row_number() OVER (PARTITION BY pair.name ORDER BY count(*) DESC, pair.value COLLATE "C") AS place,
        count(*) OVER (PARTITION BY pair.name) AS distinct
      FROM found CROSS JOIN LATERAL (VALUES ${pairs}) AS pair (name, value)
      WHERE pair.value IS NOT NULL GROUP BY pair.name, pair.value)
    SELECT tally.name AS column, coalesce(node.name, tally.value) AS value, node.cluster, tally.count,
      tally.distinct, (SELECT count(*) FROM found) AS counted
    FROM tally LEFT JOIN node ON node.id = CASE tally.name WHEN 'node' THEN tally.value::bigint END
    WHERE tally.place <= ${mostValues} ORDER BY tally.name, tally.place`,
  size: (rows) => rows[0]?.counted ?? 0,
};

/** Counts the values of the alerts of a query. `limit`: milliseconds that it may take. Throws SEARCH_SLOW. */
export async function countAlerts(
  sql: Sql,
  query: AlertQuery,
  limit: number,
): Promise<AlertCounts> {
  const rows = await search(sql, query, { limit, aim: counting });
  const byColumn = Map.groupBy(rows, ({ column }) => column);
  const by = tallies((column) => {
    const own = byColumn.get(column) ?? [];
    return { top: own.map(toCount), distinct: own[0]?.distinct ?? 0 };
  });
  return { counted: counting.size(rows), by };
}

function toCount({ column, value, cluster, count }: CountRow): ValueCount {
  if (column === "severity") return { value: severities[Number(value)] ?? "critical", count };
  return { value, ...(cluster !== null && { cluster }), count };
}
