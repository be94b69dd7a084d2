import type { Batch, Head } from "./chain.ts";

/** The part of a stored chain that a batch is compared with. */
export interface StoredChain {
  /** The key that signs the next batch. */
  readonly keyId: string;
  /** The last stored record. */
  readonly head: Head;
  /** The last records of branches: records that once conflicted with this chain, kept apart. */
  readonly branches: readonly Branch[];
}

interface Branch {
  readonly number: number;
  readonly head: Head;
}

/** Hash of a stored record of the chain. Undefined: it is not stored. */
export type HashOf = (seq: number) => string | undefined;

/** What a verified batch is to the records that are stored (docs/formats.md, "What a collector answers"). */
export type Verdict =
  | { readonly kind: "append" }
  | { readonly kind: "duplicate" }
  /** Records are missing between the stored head and the batch. */
  | { readonly kind: "gap"; readonly expected: number }
  /** Another record than the stored one: a clone, a rollback or a stolen key. */
  | { readonly kind: "fork"; readonly seq: number; readonly branch: Fork };

type Fork =
  | { readonly kind: "new" }
  | { readonly kind: "continued"; readonly number: number }
  /** The branch holds exactly this batch already. */
  | { readonly kind: "known"; readonly number: number };

/** Judges a batch, whose signature and records hold, against the chain that it names. */
export function judgeBatch(
  batch: Pick<Batch, "first" | "last" | "prev" | "head">,
  stored: Pick<StoredChain, "head" | "branches">,
  hashOf: HashOf,
): Verdict {
  const { head, branches } = stored;
  const continued = branches.find((one) => follows(batch, one.head));
  const isNext = batch.first === head.seq + 1;
  if (isNext && batch.prev === head.hash) return { kind: "append" };
  if (batch.last <= head.seq && hashOf(batch.last) === batch.head) return { kind: "duplicate" };
  const known = branches.find((one) => batch.last === one.head.seq && batch.head === one.head.hash);
  if (known) return fork(batch.first, { kind: "known", number: known.number });
  if (continued) return fork(batch.first, { kind: "continued", number: continued.number });
  if (batch.first > head.seq + 1) return { kind: "gap", expected: head.seq + 1 };
  return fork(batch.first, { kind: "new" });
}

function follows(batch: Pick<Batch, "first" | "prev">, head: Head): boolean {
  return batch.first === head.seq + 1 && batch.prev === head.hash;
}

function fork(seq: number, branch: Fork): Verdict {
  return { kind: "fork", seq, branch };
}
