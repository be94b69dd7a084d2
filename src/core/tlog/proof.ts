import { hashNode, joinSubtrees, subtreesOf } from "./tree.ts";
import type { Place, Span } from "./tree.ts";

/** Hashes in the order of RFC 6962: from the leaf's sibling up to the root's child. */
export type Proof = readonly string[];

/** Reads the hash of a complete subtree that was stored. */
export type HashAt = (place: Place) => Promise<string>;

/** Shows that the leaf with this index is in the tree of this size. RFC 6962 §2.1.1: PATH. */
export function proveInclusion(index: number, size: number, hashAt: HashAt): Promise<Proof> {
  if (index < 0 || index >= size) throw new RangeError(`leaf ${index} of ${size}`);
  return hashSpans(pathSpans(index, { from: 0, size }), hashAt);
}

/** Shows that the tree of this size begins with all leaves of the older one. RFC 6962 §2.1.2: PROOF. */
export function proveConsistency(older: number, size: number, hashAt: HashAt): Promise<Proof> {
  if (older < 0 || older > size) throw new RangeError(`a tree of ${older} before one of ${size}`);
  const spans = older === 0 ? [] : subproofSpans(older, { from: 0, size }, true);
  return hashSpans(spans, hashAt);
}

export interface Leaf {
  readonly index: number;
  readonly hash: string;
}

/** A tree as a checkpoint names it. */
export interface TreeHead {
  readonly size: number;
  readonly root: string;
}

export function isIncluded(leaf: Leaf, { size, root }: TreeHead, proof: Proof): boolean {
  const isInside = leaf.index >= 0 && leaf.index < size;
  return isInside && rootFrom(leaf, size, proof) === root;
}

/** The newer tree begins with all leaves of the older one. */
export function isConsistent(older: TreeHead, newer: TreeHead, proof: Proof): boolean {
  if (older.size > newer.size) return false;
  // Every tree begins with the empty one, whose root nothing shows.
  if (older.size === 0) return proof.length === 0;
  const roots = rootsFrom({ older, isWhole: true, size: newer.size }, proof);
  return roots?.older === older.root && roots.newer === newer.root;
}

async function hashSpans(spans: readonly Span[], hashAt: HashAt): Promise<Proof> {
  const hash = async (span: Span): Promise<string> =>
    joinSubtrees(await Promise.all(subtreesOf(span).map(hashAt)));
  return Promise.all(spans.map(hash));
}

function pathSpans(index: number, tree: Span): readonly Span[] {
  if (tree.size === 1) return [];
  const { left, right } = split(tree);
  return index < left.size
    ? [...pathSpans(index, left), right]
    : [...pathSpans(index - left.size, right), left];
}

/** RFC 6962 §2.1.2: SUBPROOF. `isWhole`: the older tree is known to its holder by its root. */
function subproofSpans(older: number, tree: Span, isWhole: boolean): readonly Span[] {
  if (older === tree.size) return isWhole ? [] : [tree];
  const { left, right } = split(tree);
  return older <= left.size
    ? [...subproofSpans(older, left, isWhole), right]
    : [...subproofSpans(older - left.size, right, false), left];
}

/** Undefined: the proof is too short or too long. */
function rootFrom({ index, hash }: Leaf, size: number, proof: Proof): string | undefined {
  const last = proof.at(-1);
  if (size === 1 || last === undefined) return size === 1 && last === undefined ? hash : undefined;
  const { left } = split({ from: 0, size });
  const rest = proof.slice(0, -1);
  if (index < left.size) {
    const child = rootFrom({ index, hash }, left.size, rest);
    return child && hashNode(child, last);
  }
  const child = rootFrom({ index: index - left.size, hash }, size - left.size, rest);
  return child && hashNode(last, child);
}

interface Step {
  readonly older: TreeHead;
  readonly isWhole: boolean;
  readonly size: number;
}

/** The roots of the older and the newer tree that the proof gives. Undefined: it is too short or too long. */
function rootsFrom(
  { older, isWhole, size }: Step,
  proof: Proof,
): { readonly older: string; readonly newer: string } | undefined {
  const last = proof.at(-1);
  if (older.size === size) {
    const known = isWhole ? older.root : last;
    const isExact = proof.length === (isWhole ? 0 : 1);
    return isExact && known !== undefined ? { older: known, newer: known } : undefined;
  }
  if (last === undefined) return undefined;
  const { left } = split({ from: 0, size });
  const rest = proof.slice(0, -1);
  if (older.size <= left.size) {
    const roots = rootsFrom({ older, isWhole, size: left.size }, rest);
    return roots && { older: roots.older, newer: hashNode(roots.newer, last) };
  }
  const inside = { size: older.size - left.size, root: older.root };
  const roots = rootsFrom({ older: inside, isWhole: false, size: size - left.size }, rest);
  return roots && { older: hashNode(last, roots.older), newer: hashNode(last, roots.newer) };
}

/** RFC 6962 §2.1: the left part has the largest power of two of leaves that is less than all. */
function split({ from, size }: Span): { readonly left: Span; readonly right: Span } {
  let width = 1;
  while (width * 2 < size) width *= 2;
  return { left: { from, size: width }, right: { from: from + width, size: size - width } };
}
