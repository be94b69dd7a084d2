import { compileRules } from "../core/policy/rules.ts";
import type { Rule } from "../core/policy/rule.ts";
import { weakenings } from "../core/policy/weaker.ts";
import type { Weakening } from "../core/policy/weaker.ts";
import { sha256 } from "../core/record/statement.ts";
import type { Statement } from "../core/record/statement.ts";
import type { Node } from "../node/node.ts";
import type { State } from "../node/state.ts";

/** The rules that were in force when the baseline was signed. Undefined: their text is not the signed one. */
export function signedRules(state: State, statement: Statement): readonly Rule[] | undefined {
  const text = state.baseline.policy();
  if (text === undefined || sha256(text) !== statement.policy.digest) return undefined;
  return JSON.parse(text) as Rule[];
}

/** How the policy in force is weaker than the signed one. */
export function weakerThanSigned(
  node: Node,
  state: State,
  statement: Statement,
): readonly Weakening[] {
  if (statement.policy.digest === node.policy.digest) return [];
  const rules = signedRules(state, statement);
  return rules ? weakenings(state.baseline.rows.paths(), compileRules(rules), node.index) : [];
}

/** "kubeadm/static-pods: severity critical -> info (12 paths, /etc/kubernetes/manifests/etcd.yaml)" */
export function weakeningText({ rule, what, paths, example }: Weakening): string {
  return `${rule}: ${what} (${paths} paths, ${example})`;
}
