type Value = string | number | Buffer | null | undefined;

/**
 * The text of a PostgreSQL array (postgresql.org/docs/current/arrays.html §8.15.6). A statement casts it:
 * `unnest(${arrayOf(names)}::text[])`.
 */
export function arrayOf(values: readonly Value[]): string {
  return `{${values.map(elementOf).join(",")}}`;
}

function elementOf(value: Value): string {
  if (value === null || value === undefined) return "NULL";
  if (typeof value === "number") return String(value);
  if (Buffer.isBuffer(value)) return `"\\\\x${value.toString("hex")}"`;
  return `"${plain(value).replaceAll(/["\\]/g, "\\$&")}"`;
}

/** PostgreSQL's text holds no NUL. */
export function plain(text: string): string {
  return text.replaceAll("\0", "\u{FFFD}");
}
