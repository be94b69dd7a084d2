import type { Database } from "better-sqlite3";
import { severities } from "../../../core/policy/rule.ts";
import { countedColumns, mostValues, tallies } from "../counts.ts";
import type { AlertCounts, CountedColumn, ValueCount } from "../counts.ts";

type Value = string | number;
type Counter = Map<Value, number>;

/** Counts the values of these alerts. */
export function countAlerts(db: Database, records: readonly number[]): AlertCounts {
  const counters = new Map<CountedColumn, Counter>(countedColumns.map((one) => [one, new Map()]));
  const inOrder = [...counters.values()];
  const rows = db
    .prepare<[string], readonly (Value | null)[]>(
      `SELECT ${countedColumns.join(", ")} FROM alert
       WHERE record IN (SELECT value FROM json_each(?))`,
    )
    .raw()
    .iterate(JSON.stringify(records));
  let counted = 0;
  for (const row of rows) {
    counted += 1;
    for (const [at, value] of row.entries()) {
      const counter = inOrder[at];
      if (value !== null) counter?.set(value, (counter.get(value) ?? 0) + 1);
    }
  }
  const nameOf = namesOf(db);
  const by = tallies((column) => {
    const counter: Counter = counters.get(column) ?? new Map();
    return { top: topOf(counter, (value) => nameOf(column, value)), distinct: counter.size };
  });
  return { counted, by };
}

/** The most frequent ones. */
function topOf(
  counter: Counter,
  nameOf: (value: Value) => Omit<ValueCount, "count">,
): readonly ValueCount[] {
  return [...counter]
    .toSorted(([one, a], [other, b]) => b - a || (one < other ? -1 : 1))
    .slice(0, mostValues)
    .map(([value, count]) => ({ ...nameOf(value), count }));
}

/** A number of the table as people know it. */
function namesOf(db: Database) {
  const node = db.prepare<[Value], { value: string; cluster: string }>(
    "SELECT name AS value, cluster FROM node WHERE id = ?",
  );
  return (column: CountedColumn, value: Value): Omit<ValueCount, "count"> => {
    if (column === "severity") return { value: severities[Number(value)] ?? "critical" };
    return (column === "node" && node.get(value)) || { value: String(value) };
  };
}
