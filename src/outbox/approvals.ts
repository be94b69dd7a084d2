import type { Database, Statement } from "better-sqlite3";
import { approvalBody, approvalsInRecord, parseApprovals } from "../core/record/approval.ts";
import type { ApprovedState } from "../core/record/approval.ts";
import { parseRecord } from "../core/record/chain.ts";
import type { Entry } from "./outbox.ts";

interface Row {
  readonly seq: number;
  readonly bytes: Buffer;
}

interface Kept extends ApprovedState {
  /** Of the record that holds it. */
  readonly seq: number;
}

/**
 * What `watch` approved since the last baseline, beside that baseline: the records of kind "approval" that follow the
 * last one of kind "baseline"; of several for one path the last. Does not verify them.
 */
export class Approvals {
  readonly #newest: Statement<[], number | null>;
  readonly #oldest: Statement<[], number | null>;
  readonly #after: Statement<[number], Row>;
  readonly #kept = new Map<string, Kept>();
  #baseline = -1;
  #read = 0;
  #first = 0;

  constructor(db: Database) {
    this.#newest = db
      .prepare<[], number | null>("SELECT max(seq) FROM record WHERE kind = 'baseline'")
      .pluck();
    this.#oldest = db.prepare<[], number | null>("SELECT min(seq) FROM record").pluck();
    this.#after = db.prepare(
      "SELECT seq, bytes FROM record WHERE kind = 'approval' AND seq > ? ORDER BY seq",
    );
  }

  get(path: string): ApprovedState | undefined {
    return this.#fresh().get(path);
  }

  all(): readonly ApprovedState[] {
    return [...this.#fresh().values()];
  }

  /** Those that would be lost with the records up to this number, the newest first. */
  heldUpTo(seq: number): readonly ApprovedState[] {
    const held = [...this.#fresh().values()].filter((one) => one.seq <= seq);
    return held.toSorted((a, b) => b.seq - a.seq);
  }

  #fresh(): ReadonlyMap<string, ApprovedState & { readonly seq: number }> {
    const baseline = this.#newest.get() ?? 0;
    if (baseline !== this.#baseline) {
      this.#kept.clear();
      this.#baseline = baseline;
      this.#read = baseline;
    }
    for (const { seq, bytes } of this.#after.iterate(this.#read)) {
      this.#read = seq;
      for (const one of parseApprovals(parseRecord(bytes)?.body))
        this.#kept.set(one.path, { ...one, seq });
    }
    this.#forgetPruned();
    return this.#kept;
  }

  /** What no record states any more is not approved. */
  #forgetPruned(): void {
    const oldest = this.#oldest.get() ?? 0;
    if (oldest === this.#first) return;
    this.#first = oldest;
    for (const [path, { seq }] of this.#kept) if (seq < oldest) this.#kept.delete(path);
  }
}

/** Records for these approvals, each of bounded size. */
export function approvalEntries(approvals: readonly ApprovedState[]): readonly Entry[] {
  const entries: Entry[] = [];
  for (let from = 0; from < approvals.length; from += approvalsInRecord) {
    const body = approvalBody(approvals.slice(from, from + approvalsInRecord));
    entries.push({ kind: "approval", severity: "info", body: () => body });
  }
  return entries;
}
