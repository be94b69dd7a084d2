import { Buffer } from "node:buffer";
import { hash as digestOf } from "node:crypto";

/** Place of a complete subtree: at this level it is the index-th of 2^level leaves each. Level 0: a leaf. */
export interface Place {
  readonly level: number;
  readonly index: number;
}

export interface Subtree extends Place {
  /** Lower-case hex of SHA-256, as all hashes here. */
  readonly hash: string;
}

/** The right edge of a tree: O(log n) hashes, enough to append leaves and to give the root. */
export interface RightEdge {
  /** How many leaves. */
  readonly size: number;
  /** Hashes of the complete subtrees that make up the tree, from the left: the places of `subtreesOf`. */
  readonly hashes: readonly string[];
}

export const emptyTree: RightEdge = { size: 0, hashes: [] };

/** RFC 6962 §2.1: a node's hash is SHA-256(0x01 || left || right). A leaf's is `hashRecord`. */
export function hashNode(left: string, right: string): string {
  return digestOf("sha256", Buffer.from(`01${left}${right}`, "hex"), "hex");
}

/** The tree with one more leaf, and the subtrees that it completes, the leaf itself first. */
export function append(
  edge: RightEdge,
  leafHash: string,
): { readonly edge: RightEdge; readonly completed: readonly Subtree[] } {
  return appendSubtree(edge, { level: 0, hash: leafHash });
}

/**
 * The tree with the leaves of a complete subtree. Its size must be a multiple of the subtree's, which has then its
 * place in the larger tree.
 */
export function appendSubtree(
  { size, hashes }: RightEdge,
  subtree: Pick<Subtree, "level" | "hash">,
): { readonly edge: RightEdge; readonly completed: readonly Subtree[] } {
  let { level, hash } = subtree;
  const width = 2 ** level;
  let index = size / width;
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size + width))
    throw new RangeError(`a subtree of level ${level} after ${size} leaves`);
  const edge = [...hashes];
  const completed: Subtree[] = [{ level, index, hash }];
  // Each trailing 1 bit of the index is a subtree that waits for its right sibling.
  while (index % 2 === 1) {
    level += 1;
    index = (index - 1) / 2;
    hash = hashNode(edge.pop() ?? "", hash);
    completed.push({ level, index, hash });
  }
  return { edge: { size: size + width, hashes: [...edge, hash] }, completed };
}

/** RFC 6962 §2.1: MTH. */
export function rootOf({ hashes }: RightEdge): string {
  return hashes.length === 0 ? digestOf("sha256", "", "hex") : joinSubtrees(hashes);
}

/** Leaves from this number on. */
export interface Span {
  readonly from: number;
  readonly size: number;
}

/** The fewest complete subtrees that cover a span, from the left. */
export function subtreesOf({ from, size }: Span): readonly Place[] {
  const places: Place[] = [];
  for (let at = from, left = size; left > 0;) {
    const level = levelAt(at, left);
    const width = 2 ** level;
    places.push({ level, index: at / width });
    at += width;
    left -= width;
  }
  return places;
}

/** RFC 6962 §2.1: the hash over the leaves of neighbouring complete subtrees, each smaller than the one before it. */
export function joinSubtrees(hashes: readonly string[]): string {
  return hashes.reduceRight((right, left) => hashNode(left, right));
}

/** Of the largest complete subtree that begins at this leaf. Without a logarithm, whose rounding is wrong near 2^53. */
function levelAt(from: number, size: number): number {
  let level = 0;
  while (2 ** (level + 1) <= size && from % 2 ** (level + 1) === 0) level += 1;
  return level;
}
