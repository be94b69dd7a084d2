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

/** Spans into which the time from the first to the last alert is divided. */
export const mostSpans = 12;

/** Alerts that happened at `from` or after, and before `until`. */
export interface TimeCount {
  readonly from: number;
  readonly until: number;
  readonly count: number;
}

/** How often each value occurs among the alerts of a query. */
export interface AlertCounts {
  /** Alerts that were counted: all that fit, or as many as the query's limit. */
  readonly counted: number;
  readonly by: Readonly<Record<CountedColumn, Tally>>;
  /** When they happened: equal spans, oldest first. None without alerts. */
  readonly times: readonly TimeCount[];
}

/** Length of a span, milliseconds. `first`, `last`: when the oldest and the newest alert happened. */
export function spanOf(first: number, last: number): number {
  return Math.max(1000, Math.ceil((last - first + 1) / mostSpans));
}

/** The spans with what was counted in each. */
export function timesOf(
  { first, last }: { readonly first: number; readonly last: number },
  countOf: (span: number) => number,
): readonly TimeCount[] {
  const span = spanOf(first, last);
  return Array.from({ length: Math.ceil((last - first + 1) / span) }, (_, at) => ({
    from: first + at * span,
    until: first + (at + 1) * span,
    count: countOf(at),
  }));
}

/** The same for each column. */
export function tallies(of: (column: CountedColumn) => Tally): AlertCounts["by"] {
  return Object.fromEntries(
    countedColumns.map((column) => [column, of(column)]),
  ) as unknown as AlertCounts["by"];
}
