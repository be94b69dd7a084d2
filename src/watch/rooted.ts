import type { Hint } from "../core/hint.ts";
import { isBelow } from "../core/path.ts";
import type { RuleIndex } from "../core/rule.ts";
import { nodePath, seenAt } from "./engine.ts";
import type { EngineOptions } from "./engine.ts";

/**
 * Lets an engine work on paths as they are seen from here, so that it can also watch what lies outside the node's
 * root: the agent's own state directory with its probe.
 */
export function asSeen(options: EngineOptions, aside: readonly string[]): EngineOptions {
  const { root, index } = options;
  const directories = () => [...aside, ...mapped(options.directories(), root)];
  return { ...options, root: "/", index: seenIndex(index, root), directories };
}

/** The engine's hint with the node's own paths. Undefined: it lies outside the node's root. */
export function asNode(hint: Hint, root: string): Hint | undefined {
  if (root === "/" || !("path" in hint)) return hint;
  const path = nodePath(root, hint.path);
  if (path === undefined) return undefined;
  if (hint.kind !== "path" || hint.from === undefined) return { ...hint, path };
  const from = nodePath(root, hint.from);
  const { from: _seen, ...rest } = hint;
  return from === undefined ? { ...rest, path } : { ...rest, path, from };
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
