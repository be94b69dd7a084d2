import type { KeyObject } from "node:crypto";
import { IntegrityError } from "../../core/error.ts";
import type { Statement } from "../../core/record/statement.ts";
import { verifyChain } from "../../outbox/verify.ts";
import type { ChainReport } from "../../outbox/verify.ts";
import type { State } from "../../node/state.ts";

interface Verification {
  readonly baseline:
    | { readonly ok: true; readonly statement: Statement }
    | { readonly ok: false; readonly fault: IntegrityError };
  readonly chain: ChainReport;
}

/** Whether this agent signed the baseline and the chain of alerts. */
export function verifyState(state: State): Verification {
  const keys: readonly KeyObject[] = [state.key.publicKey, ...state.key.past];
  return { baseline: verifyBaseline(state), chain: verifyChain(state.db, keys) };
}

function verifyBaseline(state: State): Verification["baseline"] {
  try {
    return { ok: true, statement: state.baseline.trust() };
  } catch (fault) {
    if (fault instanceof IntegrityError) return { ok: false, fault };
    throw fault;
  }
}
