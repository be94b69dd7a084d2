import { compileRules } from "../core/policy/rules.ts";
import type { Rule, RuleIndex } from "../core/policy/rule.ts";
import { readMeta, transact, writeMeta } from "../sqlite/open.ts";
import type { Node } from "../node/node.ts";
import type { State } from "../node/state.ts";

const metaKey = "watched";

/** What was watched when everything was last seen: what that did not cover is no news when it shows. */
export function formerlyWatched(state: State, node: Node): (path: string) => boolean {
  const last = watchedPolicy(state) ?? "[]";
  if (last === rulesOf(node)) return () => true;
  const former = indexOf(last) ?? indexOf(state.baseline.policy() ?? "[]");
  if (!former) return () => true;
  return (path) => former.find(path) !== undefined || state.current.get(path) !== undefined;
}

/** From now on everything under this policy has been seen, and what comes is news. Within the transaction that there is. */
export function rememberWatched({ db }: State, node: Node): void {
  const rules = rulesOf(node);
  // Nothing to be stored: no lock is waited for, and no disk need have room.
  if (readMeta(db, metaKey) === rules) return;
  const write = (): void => writeMeta(db, metaKey, rules);
  if (db.inTransaction) write();
  else transact(db, write);
}

/** Rules as canonical JSON. */
function watchedPolicy(state: State): string | undefined {
  return readMeta(state.db, metaKey) ?? state.baseline.policy();
}

function rulesOf({ policy }: Node): string {
  return JSON.stringify(policy.rules);
}

/** Undefined: these are no rules. What was last watched is not signed, and whoever alters it shall not stop the agent. */
function indexOf(rules: string): RuleIndex | undefined {
  try {
    return compileRules(JSON.parse(rules) as Rule[]);
  } catch {
    return undefined;
  }
}
