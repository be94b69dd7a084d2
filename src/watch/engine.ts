import { joinPath } from "../core/path.ts";
import type { EngineName, HintSink } from "../core/change/hint.ts";
import type { RuleIndex } from "../core/policy/rule.ts";

export interface EngineOptions {
  /** Where the agent sees the node's root: "/" or "/host". Hints never carry it. */
  readonly root: string;
  /** Below this directory, absolute symbolic links are resolved as if it were "/", as on the node. */
  readonly within?: string;
  readonly index: RuleIndex;
  /** Node paths of directories to watch beside the rules'. Read once at the start. */
  readonly directories: () => Iterable<string>;
  /** Aborts: the engine closes everything that it opened, and `ended` resolves. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970, with fraction. */
  readonly now: () => number;
  /** Takes each hint at once, in the order of the events. */
  readonly sink: HintSink;
}

/** A source of hints. A hint says where to look, not what has changed. */
export interface Engine {
  readonly name: EngineName;
  /** Resolves when every watch is in place; rejects with ENGINE_FAILED when the engine cannot work here. */
  readonly ready: Promise<void>;
  /** Resolves after the last hint: when the signal has aborted, or after a hint of kind "failed". */
  readonly ended: Promise<void>;
  /** Watches one more directory (a new tree), given as a node path. The caller sweeps it afterwards. */
  add(path: string): void;
  /** Number of watched inodes. */
  readonly watched: () => number;
  /** Gives the sink everything that the kernel has queued by now. */
  readonly drain?: () => void;
  /** Ends a proven engine. */
  readonly stop?: () => void;
  /** What the engine cannot see, in sentences for `doctor`. The contract suite searches them. */
  readonly blind: readonly string[];
}

/** Starts at once. Throws ENGINE_FAILED when the engine cannot even be opened. */
export type StartEngine = (options: EngineOptions) => Engine;

/** "/host", "/etc/x" -> "/host/etc/x": the path at which the agent sees a node path. */
export function seenAt(root: string, path: string): string {
  if (root === "/") return path;
  return path === "/" ? root : `${root}${path}`;
}

/** The inverse of seenAt. Undefined: outside the root. */
export function nodePath(root: string, seen: string): string | undefined {
  if (root === "/") return seen;
  if (seen === root) return "/";
  return seen.startsWith(`${root}/`) ? joinPath("/", seen.slice(root.length + 1)) : undefined;
}
