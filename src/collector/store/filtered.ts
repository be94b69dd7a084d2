import type { AlertQuery } from "./store.ts";

/** Milliseconds that one search may take. */
export const usualLimit = 4000;

const ends: readonly string[] = ["before", "after", "limit"] satisfies (keyof AlertQuery)[];

/** True if the query leaves alerts out that lie between those it shows. */
export function isFiltered(query: AlertQuery): boolean {
  return Object.keys(query).some((name) => !ends.includes(name));
}
