import type { Database } from "better-sqlite3";
import { severities } from "../../../core/policy/rule.ts";
import { countedColumns, mostValues, spanOf, tallies, timesOf } from "../counts.ts";
import type { AlertCounts, CountedColumn, TimeCount, ValueCount } from "../counts.ts";

type Value = string | number;
type Counter = Map<Value, number>;

/** Counts the values of these alerts. */
export function countAlerts(db: Database, records: readonly number[]): AlertCounts {
  const counters = new Map<CountedColumn, Counter>(countedColumns.map((one) => [one, new Map()]));
  const times: Counter = new Map();
  const inOrder = [...counters.values(), times];
  const rows = db
    .prepare<[string], readonly (Value | null)[]>(
      `SELECT ${countedColumns.join(", ")}, at FROM alert
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
  return { counted, by, times: timeCounts(times) };
}

/** Times with how many alerts each has, in spans. */
function timeCounts(times: Counter): readonly TimeCount[] {
  if (times.size === 0) return [];
  const known = [...times].map(([at, count]) => ({ at: Number(at), count }));
  const first = known.reduce((least, { at }) => Math.min(least, at), Infinity);
  const last = known.reduce((most, { at }) => Math.max(most, at), -Infinity);
  const span = spanOf(first, last);
  const counts = new Map<number, number>();
  for (const { at, count } of known) {
    const index = Math.floor((at - first) / span);
    counts.set(index, (counts.get(index) ?? 0) + count);
  }
  return timesOf({ first, last }, (index) => counts.get(index) ?? 0);
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
