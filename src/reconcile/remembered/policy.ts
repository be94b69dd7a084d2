import { canonicalRules } from "../../core/policy/canonical.ts";
import { compileRules } from "../../core/policy/rules.ts";
import type { Rule, RuleIndex } from "../../core/policy/rule.ts";
import { readMeta, transact, writeMeta } from "../../sqlite/open.ts";
import type { Node } from "../../node/node.ts";
import type { State } from "../../node/state.ts";

const metaKey = "watched";

/** The rules under which everything was last seen. A path that they did not watch is not new when it appears. */
export function formerlyWatched(state: State, node: Node): (path: string) => boolean {
  const last = watchedPolicy(state) ?? "[]";
  if (last === rulesOf(node)) return () => true;
  const former = indexOf(last) ?? indexOf(state.baseline.policy() ?? "[]");
  if (!former) return () => true;
  return (path) => former.find(path) !== undefined || state.current.get(path) !== undefined;
}

/** Remembers that everything under this policy has been seen. Runs in the current transaction. */
export function rememberWatched({ db }: State, node: Node): void {
  const rules = rulesOf(node);
  // Unchanged: needs no lock and no disk space.
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
  return canonicalRules(policy.rules);
}

/** Undefined: not a list of rules. It is unsigned, and an altered one must not stop the agent. */
function indexOf(rules: string): RuleIndex | undefined {
  try {
    return compileRules(JSON.parse(rules) as Rule[]);
  } catch {
    return undefined;
  }
}
