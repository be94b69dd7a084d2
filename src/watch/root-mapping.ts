import type { Hint } from "../core/change/hint.ts";
import { isBelow } from "../core/path.ts";
import type { RuleIndex } from "../core/policy/rule.ts";
import { nodePath, seenAt } from "./engine.ts";
import type { EngineOptions } from "./engine.ts";

/** Paths to watch beside the node's, as the agent sees them: the agent's own. */
export interface ExtraWatch {
  readonly directories: readonly string[];
  readonly index: RuleIndex;
}

/**
 * Lets an engine work on paths as the agent sees them, so that it can also watch outside the node's root: the state
 * directory with its probe, the program, the configuration.
 */
export function asSeen(options: EngineOptions, extra: ExtraWatch): EngineOptions {
  const { root } = options;
  const directories = () => [...extra.directories, ...mapped(options.directories(), root)];
  const index = either(seenIndex(options.index, root), extra.index);
  return { ...options, root: "/", within: root, index, directories };
}

function either(first: RuleIndex, second: RuleIndex): RuleIndex {
  const roots = [...first.roots, ...second.roots];
  return {
    roots: roots.filter((path) => !roots.some((one) => isBelow(path, one))),
    find: (path) => first.find(path) ?? second.find(path),
    mayMatchBelow: (dir) => first.mayMatchBelow(dir) || second.mayMatchBelow(dir),
  };
}

/** The hint with node paths. Undefined: outside the node's root. */
export function asNode(hint: Hint, root: string): Hint | undefined {
  if (root === "/" || !("path" in hint)) return hint;
  const path = nodePath(root, hint.path);
  if (path === undefined) return undefined;
  if (hint.kind !== "path") return { ...hint, path };
  const { from: seenFrom, through: seenThrough, ...rest } = hint;
  const from = seenFrom === undefined ? undefined : nodePath(root, seenFrom);
  const through = seenThrough === undefined ? undefined : nodePath(root, seenThrough);
  return {
    ...rest,
    path,
    ...(from === undefined ? {} : { from }),
    ...(through === undefined ? {} : { through }),
  };
}

function seenIndex(index: RuleIndex, root: string): RuleIndex {
  if (root === "/") return index;
  return {
    roots: index.roots.map((path) => seenAt(root, path)),
    find(seen) {
      const path = nodePath(root, seen);
      return path === undefined ? undefined : index.find(path);
    },
    mayMatchBelow(seen) {
      const path = nodePath(root, seen);
      return path === undefined ? isBelow(root, seen) : index.mayMatchBelow(path);
    },
  };
}

function* mapped(paths: Iterable<string>, root: string): Iterable<string> {
  for (const path of paths) yield seenAt(root, path);
}
