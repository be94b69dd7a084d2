import type { Actor } from "../core/hint.ts";
import { compare } from "../core/compare.ts";
import type { Node } from "./node.ts";
import type { State } from "./state.ts";

/**
 * Whether a process runs the node's own file of that name (and no copy in another mount namespace), and that file is
 * as it was approved. Undefined: the process was gone before its executable could be looked at.
 */
export function isGenuine(
  actor: Actor,
  { node, state }: { node: Node; state: State },
): boolean | undefined {
  const { exe, executable } = actor;
  if (exe === undefined || executable === undefined) return undefined;
  const there = node.observer.observe(exe, { hash: false });
  if (there?.ino !== executable.ino || there.dev !== executable.dev) return false;
  const approved = state.baseline.rows.get(exe);
  const current = state.current.get(exe);
  if (!approved) return !current && !node.index.find(exe);
  if (!current || compare({ path: exe, before: approved, after: current })) return false;
  return current.ctime === there.ctime;
}
