import { readMeta, writeMeta } from "../sqlite/open.ts";
import type { State } from "./state.ts";

const metaKey = "watched";

/** The rules, as canonical JSON, under which everything was last seen: what they did not cover is no news when it shows. */
export function watchedPolicy(state: State): string | undefined {
  return readMeta(state.db, metaKey) ?? state.baseline.policy();
}

/** Within a transaction. */
export function rememberWatched(state: State, rules: string): void {
  writeMeta(state.db, metaKey, rules);
}
