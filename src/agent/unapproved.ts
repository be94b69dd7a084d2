import { signedRules, weakeningText, weakerThanSigned } from "./policy-difference.ts";
import type { AgentContext } from "../reconcile/context.ts";

/** Weakenings of the policy that one event lists. */
const mostWeakenings = 100;

/**
 * Reports a policy that protects less than the signed one, because it lets an attacker change files without an alert,
 * and watched paths that were never approved. Returns a function that ends these troubles after an approval.
 */
export function reportUnapproved(context: AgentContext, adopted: readonly string[]): () => void {
  const { state, health } = context;
  reportWeakerPolicy(context);
  if (adopted.length > 0)
    health.trouble(
      "never approved",
      `${adopted.length} paths are watched since the policy changed and were never approved`,
    );
  let counter = state.baseline.counter();
  return () => {
    const now = state.baseline.counter();
    if (now === counter) return;
    counter = now;
    if (adopted.every((path) => isDone(context, path))) health.over("never approved");
    const statement = state.baseline.signed();
    if (statement && signedRules(state, statement) && weaknesses(context, statement).length === 0)
      health.over("policy");
  };
}

/** Approved since, or gone. */
function isDone({ state }: AgentContext, path: string): boolean {
  return state.baseline.rows.get(path) !== undefined || state.current.get(path) === undefined;
}

function reportWeakerPolicy(context: AgentContext): void {
  const { state, committer, health, log } = context;
  const weaker = weaknesses(context, state.baseline.trust());
  if (weaker.length === 0) return;
  const detail = { weaker: weaker.slice(0, mostWeakenings), count: weaker.length };
  health.record(() => committer.announce("policy", detail, "high"));
  health.mark("policy", `weaker than the signed one: ${weaker[0]}`);
  log.warn({ weaker: weaker.slice(0, mostWeakenings) }, "policy weaker than the signed one");
}

function weaknesses(
  { node, state }: AgentContext,
  statement: Parameters<typeof weakerThanSigned>[2],
): readonly string[] {
  return weakerThanSigned(node, state, statement).map(weakeningText);
}
