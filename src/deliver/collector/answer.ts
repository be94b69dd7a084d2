import { classify } from "../../core/backoff.ts";
import type { Answer, Failure, Outcome } from "../../core/backoff.ts";
import { fieldsOf, numberAt, textAt } from "../../core/record/fields.ts";

/** What the collector did with a request of batches. */
export type Sent = {
  /** The last record that it has of the chain, as far as it says. */
  readonly ack?: number;
  /** For the next heartbeat. */
  readonly nonce?: string;
  /** Its newest signed checkpoint (C2SP tlog-checkpoint). */
  readonly checkpoint?: string;
  /** Hashes that show how its log goes on from the tree that the agent knows. Hostile. */
  readonly consistency?: readonly unknown[];
} & (
  | { readonly kind: "stored" }
  /** It asks for the records from this number on. */
  | { readonly kind: "gap"; readonly expected: number }
  /** It holds other records of this chain, and keeps ours apart up to this number. */
  | { readonly kind: "fork"; readonly seq: number; readonly quarantined: number }
  /** It does not know the node. */
  | { readonly kind: "unknown" }
  | { readonly kind: "failed"; readonly outcome: Failure }
);

/** Reads an answer to POST /v1/batches. The clock gives milliseconds since 1970. */
export function readSent(answer: Answer, now: number): Sent {
  const body = bodyOf(answer);
  const ack = countAt(body, "ack");
  const nonce = textAt(body, "nonce");
  const checkpoint = textAt(body, "checkpoint");
  const { consistency } = fieldsOf(body);
  return {
    ...(ack !== undefined && { ack }),
    ...(nonce !== undefined && { nonce }),
    ...(checkpoint !== undefined && { checkpoint }),
    ...(Array.isArray(consistency) && { consistency }),
    ...meaningOf(answer, body, now),
  };
}

type Meaning =
  | { readonly kind: "stored" | "unknown" }
  | { readonly kind: "gap"; readonly expected: number }
  | { readonly kind: "fork"; readonly seq: number; readonly quarantined: number }
  | { readonly kind: "failed"; readonly outcome: Failure };

function meaningOf(answer: Answer, body: unknown, now: number): Meaning {
  const error = textAt(body, "error");
  const status = answer.kind === "status" ? answer.status : 0;
  const expected = countAt(body, "expected") ?? 0;
  if (status === 409 && error === "gap" && expected > 0) return { kind: "gap", expected };
  if (status === 409 && error === "fork") {
    const [seq = 0, quarantined = 0] = [countAt(body, "seq"), countAt(body, "quarantined")];
    return { kind: "fork", seq, quarantined };
  }
  if (status === 401 && error === "unknown") return { kind: "unknown" };
  const outcome = failureOf(classify(answer, now), textAt(body, "reason"));
  return outcome ? { kind: "failed", outcome } : { kind: "stored" };
}

/** The number of a record, or 0. */
function countAt(body: unknown, name: string): number | undefined {
  const count = numberAt(body, name);
  return count !== undefined && Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}

/** The collector is never gone for good: a 410 comes from something else at its address. */
export function failureOf(outcome: Outcome, reason: string | undefined): Failure | undefined {
  if (outcome.kind === "delivered") return undefined;
  const why = reason === undefined ? outcome.why : `${outcome.why}: ${reason.slice(0, 300)}`;
  return outcome.kind === "disabled" ? { kind: "rejected", why } : { ...outcome, why };
}

export function bodyOf(answer: Answer): unknown {
  if (answer.kind !== "status") return {};
  try {
    return fieldsOf(JSON.parse(answer.body ?? "{}"));
  } catch {
    return {};
  }
}
