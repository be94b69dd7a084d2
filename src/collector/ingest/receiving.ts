import type { Head } from "../../core/record/chain.ts";
import type { AlarmKind } from "../../core/record/finding.ts";
import type { Severity } from "../../core/policy/rule.ts";
import type { Transaction } from "../store/store.ts";
import type { Sender } from "./sender.ts";

/** How a part ended: what is stored of its chain now, or why it is refused. */
export type Done = { readonly records: number; readonly head: Head | undefined } | Refusal;

export type Refusal =
  | { readonly error: "gap"; readonly expected: number }
  | {
      readonly error: "fork";
      readonly seq: number;
      readonly have: string | undefined;
      /** The last record that is kept apart as evidence. */
      readonly quarantined: number;
    }
  | { readonly error: "signature" | "unknown"; readonly reason: string }
  | { readonly error: "malformed"; readonly reason: string };

/** The work on one part of a request, in its transaction. */
export interface Receiving {
  readonly tx: Transaction;
  readonly sender: Sender;
  /** The agent has lost the records from this number on, and says so. */
  readonly lostFrom?: number;
  readonly raise: (kind: AlarmKind, severity: Severity, reason: string) => Promise<void>;
  readonly timeOf: (nonce: string) => number | undefined;
}
