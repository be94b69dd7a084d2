import { append, emptyTree } from "../../core/tlog/tree.ts";
import type { RightEdge, Subtree } from "../../core/tlog/tree.ts";

/** Where the stores keep the right edge of the log's tree, in their metadata. */
export const treeKey = "log";

/** The tree with these leaves, and all subtrees that they complete. */
export function grow(
  tree: RightEdge,
  leafHashes: readonly string[],
): { readonly tree: RightEdge; readonly completed: readonly Subtree[] } {
  let grown = tree;
  const completed = leafHashes.flatMap((hash) => {
    const step = append(grown, hash);
    grown = step.edge;
    return step.completed;
  });
  return { tree: grown, completed };
}

export function printTree({ size, hashes }: RightEdge): string {
  return JSON.stringify({ size, hashes });
}

export function parseTree(text: string | undefined): RightEdge {
  return text === undefined ? emptyTree : (JSON.parse(text) as RightEdge);
}
