/*
 * Quantities that an operator writes: "500ms", "1h", "256MiB", "50MiB/s". A whole number with a unit: a bare number
 * would not say its unit.
 */

const durationUnits = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;
const sizeUnits = { TiB: 2 ** 40, GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, B: 1 } as const;

/** Text -> milliseconds, or undefined when it is not a duration. */
export function parseDuration(text: string): number | undefined {
  return parseQuantity(text, durationUnits);
}

/** Milliseconds -> the shortest exact text. The inverse of parseDuration. */
export function printDuration(ms: number): string {
  return printQuantity(ms, durationUnits, "s");
}

/** Text -> bytes, or undefined when it is not a size. */
export function parseSize(text: string): number | undefined {
  return parseQuantity(text, sizeUnits);
}

/** Bytes -> the shortest exact text. The inverse of parseSize. */
export function printSize(bytes: number): string {
  return printQuantity(bytes, sizeUnits, "B");
}

/** Text -> bytes a second, or undefined when it is not a rate. */
export function parseRate(text: string): number | undefined {
  return text.endsWith("/s") ? parseSize(text.slice(0, -2)) : undefined;
}

/** Bytes a second -> the shortest exact text. The inverse of parseRate. */
export function printRate(bytesPerSecond: number): string {
  return `${printSize(bytesPerSecond)}/s`;
}

type Units = Readonly<Record<string, number>>;

function parseQuantity(text: string, units: Units): number | undefined {
  const [, digits, unit] = /^(\d{1,16})([A-Za-z]+)$/.exec(text) ?? [];
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined;
  const value = Number(digits) * (units[unit] ?? 1);
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Units from the largest to the smallest. */
function printQuantity(value: number, units: Units, zeroUnit: string): string {
  if (value === 0) return `0${zeroUnit}`;
  const [unit, size] = Object.entries(units).find(([, each]) => value % each === 0) ?? ["", 1];
  return `${value / size}${unit}`;
}
