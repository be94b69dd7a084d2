import { severities } from "../../../core/policy/rule.ts";
import { countedColumns, mostSpans, mostValues, tallies, timesOf } from "../counts.ts";
import type { AlertCounts, CountedColumn, ValueCount } from "../counts.ts";
import type { AlertQuery } from "../store.ts";
import type { Sql } from "./connect.ts";
import { search } from "./search.ts";
import type { Aim } from "./search.ts";

interface CountRow {
  /** "time": the value is the number of a span. */
  readonly column: CountedColumn | "time";
  readonly value: string;
  readonly cluster: string | null;
  readonly count: number;
  /** Values of this column. */
  readonly distinct: number;
  /** Alerts that were counted. */
  readonly counted: number;
  /** When the oldest and the newest of them happened. */
  readonly first: number;
  readonly last: number;
}

/** Grouped by each column: quicker than a row for each value of an alert. */
const groups = countedColumns.map(
  (one) => `SELECT '${one}' AS name, ${one}::text AS value, count(*) AS count
    FROM found WHERE ${one} IS NOT NULL GROUP BY ${one}`,
);

/** By the number of its span, as `spanOf` has them. */
const bySpan = `SELECT 'time' AS name,
    ((at - first) / greatest(1000, ceil((last - first + 1) / ${mostSpans}.0)::bigint))::text AS value, count(*) AS count
    FROM found CROSS JOIN edge GROUP BY 2`;

const counting: Aim<CountRow> = {
  text: (found) => `WITH found AS MATERIALIZED (${found}),
    edge AS MATERIALIZED (SELECT count(*) AS counted, min(at) AS first, max(at) AS last FROM found),
    tally AS (SELECT name, value, count,
      row_number() OVER (PARTITION BY name ORDER BY count DESC, value COLLATE "C") AS place,
      count(*) OVER (PARTITION BY name) AS distinct
      FROM (${[...groups, bySpan].join(" UNION ALL ")}) AS one)
    SELECT tally.name AS column, coalesce(node.name, tally.value) AS value, node.cluster, tally.count,
      tally.distinct, edge.counted, edge.first, edge.last
    FROM tally CROSS JOIN edge
      LEFT JOIN node ON node.id = CASE tally.name WHEN 'node' THEN tally.value::bigint END
    WHERE tally.place <= CASE tally.name WHEN 'time' THEN ${mostSpans} ELSE ${mostValues} END
    ORDER BY tally.name, tally.place`,
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
  const spans = new Map(byColumn.get("time")?.map((row) => [Number(row.value), row.count]));
  const [edge] = rows;
  const times = edge ? timesOf(edge, (index) => spans.get(index) ?? 0) : [];
  return { counted: counting.size(rows), by, times };
}

function toCount({ column, value, cluster, count }: CountRow): ValueCount {
  if (column === "severity") return { value: severities[Number(value)] ?? "critical", count };
  return { value, ...(cluster !== null && { cluster }), count };
}
