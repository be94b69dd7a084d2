/** Columns whose values are counted. */
export const countedColumns = [
  "severity",
  "change",
  "rule",
  "node",
  "program",
  "pod",
  "path",
] as const;

export type CountedColumn = (typeof countedColumns)[number];

/** Values of one column that are counted one by one; the others are only known by their number. */
export const mostValues = 10;

export interface ValueCount {
  readonly value: string;
  /** Of a node. */
  readonly cluster?: string;
  /** Alerts that have it. */
  readonly count: number;
}

export interface Tally {
  /** The most frequent values first; equal ones by their text. */
  readonly top: readonly ValueCount[];
  /** Values that occur. */
  readonly distinct: number;
}

/** How often each value occurs among the alerts of a query. */
export interface AlertCounts {
  /** Alerts that were counted: all that fit, or as many as the query's limit. */
  readonly counted: number;
  readonly by: Readonly<Record<CountedColumn, Tally>>;
}

/** The same for each column. */
export function tallies(of: (column: CountedColumn) => Tally): AlertCounts["by"] {
  return Object.fromEntries(
    countedColumns.map((column) => [column, of(column)]),
  ) as unknown as AlertCounts["by"];
}
