import type { KeyObject } from "node:crypto";
import { keyIdOf, parseEnvelope } from "./dsse.ts";
import { openAnchor, openStatement, payloadHash, sha256 } from "./statement.ts";
import type { Anchor, RowsDigest, Statement } from "./statement.ts";

/** All evidence about the baseline, unparsed and untrusted. */
export interface Evidence {
  /** The row of the statement table. */
  readonly stored?: {
    readonly counter: number;
    readonly envelope: string;
    readonly policy: string;
  };
  /** Text of the anchor file. */
  readonly anchor?: string;
  /** The content of the chain's newest "baseline" record. */
  readonly recorded?: { readonly counter: number; readonly digest: string };
  /** The chain is complete from its first record: a baseline that it does not name never existed. */
  readonly isChainWhole?: boolean;
  /** Of the present rows. */
  readonly rows: RowsDigest;
}

/** The altered part. */
type Part = "signature" | "key" | "counter" | "policy" | "anchor" | "rows";

export type Judgement =
  | { readonly kind: "trusted"; readonly statement: Statement; readonly anchorIsBehind: boolean }
  /** There never was a baseline. */
  | { readonly kind: "missing" }
  /** There was a baseline. */
  | { readonly kind: "gone"; readonly counter: number; readonly where: string }
  | { readonly kind: "untrusted"; readonly part: Part; readonly why: string };

/** Whether a baseline may be used. The first key is the agent's own, the others are its former ones. */
export function judge(evidence: Evidence, keys: readonly KeyObject[]): Judgement {
  const anchor = readAnchor(evidence.anchor, keys);
  if (!evidence.stored) return judgeAbsence(anchor, evidence.recorded);
  const statement = readStatement(evidence.stored.envelope, keys);
  if ("kind" in statement) return statement;
  const { counter, policy, envelope } = evidence.stored;
  if (counter !== statement.counter)
    return untrusted("counter", `it says ${counter}, signed is ${statement.counter}`);
  if (sha256(policy) !== statement.policy.digest)
    return untrusted(
      "policy",
      `the stored policy is not the signed one (${statement.policy.name})`,
    );
  const hash = payloadHash(parseEnvelope(envelope) ?? noEnvelope);
  return (
    judgeAnchor(anchor, statement, hash) ??
    judgeRecord(evidence, statement) ??
    judgeRows(evidence.rows, statement) ?? {
      kind: "trusted",
      statement,
      anchorIsBehind: typeof anchor === "object" && anchor.counter < statement.counter,
    }
  );
}

/** An anchor with a valid signature, or the reason why there is none. */
export function readAnchor(
  text: string | undefined,
  keys: readonly KeyObject[],
): Anchor | "absent" | "altered" {
  if (text === undefined) return "absent";
  const envelope = parseEnvelope(text);
  const opened = envelope && openAnchor(envelope, keys);
  return opened?.kind === "good" ? opened.value : "altered";
}

const noEnvelope = { payloadType: "", payload: "", signatures: [] };

function untrusted(part: Part, why: string): Judgement {
  return { kind: "untrusted", part, why };
}

function judgeAbsence(
  anchor: Anchor | "absent" | "altered",
  recorded: Evidence["recorded"],
): Judgement {
  if (anchor === "altered")
    return untrusted("anchor", "there is no baseline, and the anchor file was altered");
  if (anchor !== "absent" && anchor.counter > 0)
    return { kind: "gone", counter: anchor.counter, where: "the anchor file" };
  if (recorded) return { kind: "gone", counter: recorded.counter, where: "the chain" };
  return { kind: "missing" };
}

function readStatement(text: string, keys: readonly KeyObject[]): Statement | Judgement {
  const envelope = parseEnvelope(text);
  if (!envelope) return untrusted("signature", "the statement cannot be read");
  const opened = openStatement(envelope, keys);
  switch (opened.kind) {
    case "good":
      return opened.value;
    case "foreign": {
      const own = keys.map(keyIdOf).join(", ");
      return untrusted("key", `signed by ${opened.keyid}, expected ${own}`);
    }
    case "forged":
      return untrusted("signature", "the statement is not what the agent's key signed");
  }
}

function judgeAnchor(
  anchor: Anchor | "absent" | "altered",
  statement: Statement,
  hash: string,
): Judgement | undefined {
  if (anchor === "absent") return untrusted("anchor", "the anchor file is gone");
  if (anchor === "altered") return untrusted("anchor", "the anchor file was altered");
  if (anchor.counter > statement.counter)
    return untrusted(
      "counter",
      `rolled back to ${statement.counter}, the anchor file says ${anchor.counter}`,
    );
  if (anchor.counter === statement.counter && anchor.statement !== hash)
    return untrusted(
      "anchor",
      `the anchor file names another statement of counter ${anchor.counter}`,
    );
  return undefined;
}

/** Each signature is recorded in its own commit, and pruning removes the oldest records first. */
function judgeRecord(
  { recorded, isChainWhole }: Evidence,
  statement: Statement,
): Judgement | undefined {
  if (!recorded)
    return isChainWhole
      ? untrusted(
          "counter",
          `the chain has no record of the baseline of counter ${statement.counter}`,
        )
      : undefined;
  if (recorded.counter > statement.counter)
    return untrusted(
      "counter",
      `rolled back to ${statement.counter}, the chain says ${recorded.counter}`,
    );
  if (recorded.counter < statement.counter)
    return untrusted(
      "counter",
      `signed is ${statement.counter}, the chain ends with ${recorded.counter}: its last records were cut off`,
    );
  if (recorded.digest !== statement.digest)
    return untrusted("counter", `the chain names another baseline of counter ${recorded.counter}`);
  return undefined;
}

function judgeRows(found: RowsDigest, statement: Statement): Judgement | undefined {
  if (found.rows !== statement.rows)
    return untrusted("rows", `there are ${found.rows}, signed are ${statement.rows}`);
  if (found.digest !== statement.digest)
    return untrusted("rows", `all ${found.rows} are there, but not with the signed content`);
  return undefined;
}
