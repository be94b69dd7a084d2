import { isBelow, parentOf } from "../core/path.ts";
import type { RuleIndex } from "../core/policy/rule.ts";

/**
 * The part of an index that an engine must watch in another one's place: these directories with everything below them.
 * Of a directory that only leads to watched paths, its entries alone.
 */
export function partOf(index: RuleIndex, directories: readonly string[]): RuleIndex {
  const ways = new Set(directories.filter((path) => isWay(index, path)));
  const trees = directories.filter((path) => !ways.has(path));
  const isIn = (path: string): boolean =>
    trees.some((tree) => tree === path || isBelow(path, tree)) ||
    ways.has(path) ||
    ways.has(parentOf(path));
  const leadsIn = (path: string): boolean => directories.some((one) => isBelow(one, path));
  return {
    find: (path) => (isIn(path) ? index.find(path) : undefined),
    mayMatchBelow: (path) => (isIn(path) || leadsIn(path)) && index.mayMatchBelow(path),
    roots: directories,
  };
}

/** Above a rule's root, and below none. */
function isWay({ roots }: RuleIndex, path: string): boolean {
  return (
    roots.some((root) => isBelow(root, path)) &&
    !roots.some((root) => root === path || isBelow(path, root))
  );
}
