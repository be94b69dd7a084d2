import { joinPath } from "../core/path.ts";
import type { EngineName, HintSink } from "../core/change/hint.ts";
import type { RuleIndex } from "../core/policy/rule.ts";

export interface EngineOptions {
  /** Where the node's root is seen: "/" or "/host". Hints never carry it. */
  readonly root: string;
  /** Below this directory absolute symbolic links are followed as if it were "/": there they are the node's. */
  readonly within?: string;
  readonly index: RuleIndex;
  /** The directories to watch, as node paths. Asked once, when the engine starts. */
  readonly directories: () => Iterable<string>;
  /** Aborted: the engine gives back everything it opened and its hints end. */
  readonly signal: AbortSignal;
  /** Milliseconds since 1970, with fraction. */
  readonly now: () => number;
  /** Takes each hint at once, in the order of the events. */
  readonly sink: HintSink;
}

/** What gives hints to its sink. It says where to look, never what is there. */
export interface Engine {
  readonly name: EngineName;
  /** Resolves when every watch is in place; rejects with ENGINE_FAILED when the engine cannot work here. */
  readonly ready: Promise<void>;
  /** Resolves after the last hint: when the signal has aborted, or after a hint of kind "failed". */
  readonly ended: Promise<void>;
  /** Watches one more directory (a tree that appeared), given as a node path. The caller sweeps it afterwards. */
  add(path: string): void;
  /** How many inodes are watched now. */
  readonly watched: () => number;
  /** Gives the sink everything that the kernel has queued by now. */
  readonly drain?: () => void;
  /** What it cannot see, in sentences for `doctor`. The contract suite looks for its own words in them. */
  readonly blind: readonly string[];
}

/** Starts at once. Throws ENGINE_FAILED when the engine cannot even be opened. */
export type StartEngine = (options: EngineOptions) => Engine;

/** "/host", "/etc/x" -> "/host/etc/x": where a node path is seen from here. */
export function seenAt(root: string, path: string): string {
  if (root === "/") return path;
  return path === "/" ? root : `${root}${path}`;
}

/** The inverse of seenAt. Undefined: not inside the root. */
export function nodePath(root: string, seen: string): string | undefined {
  if (root === "/") return seen;
  if (seen === root) return "/";
  return seen.startsWith(`${root}/`) ? joinPath("/", seen.slice(root.length + 1)) : undefined;
}
