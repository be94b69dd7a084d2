import { messageOf } from "../core/error.ts";
import { readlinkSync } from "node:fs";
import type { Actor } from "../core/change/hint.ts";
import type { Touches } from "../core/change/images.ts";
import { ActorReader } from "./actor.ts";
import type { AttributionSettings } from "./actor.ts";
import type { Inode } from "./creations.ts";
import { ExecHistory } from "./exec-history.ts";
import { readStat } from "./process.ts";

/** "bpf": names dead processes too; "proc": only living ones; "none": none. */
export type AttributionMode = "bpf" | "proc" | "none";

interface AttributionOptions {
  /** Where the agent sees the node's root. */
  readonly root: string;
  /** The node's own /proc (with hostPID, ours). */
  readonly proc?: string;
  /** The best mode to use; "bpf" when absent. */
  readonly best?: AttributionMode;
}

/** PROC_PID_INIT_INO (include/linux/proc_ns.h): the inode of the node's own PID namespace. */
const nodePidNamespace = "pid:[4026531836]";

const otherNamespace =
  "processes outside of this PID namespace: hostPID is not set, so the kernel gives no pid";

/** Describes the processes behind events. Never throws: `mode` and `blind` say what is missing. */
export class Attribution implements Disposable {
  readonly mode: AttributionMode;
  /** What it cannot see, in sentences for `doctor`. */
  readonly blind: readonly string[];
  readonly #history: ExecHistory | undefined;
  readonly #reader: ActorReader;

  private constructor(opened: Opened) {
    this.#history = opened.history;
    this.mode = opened.mode;
    this.blind = opened.blind;
    this.#reader = new ActorReader(opened.settings);
  }

  static open(options: AttributionOptions): Attribution {
    return new Attribution(openBest(options));
  }

  /** `now`: milliseconds since 1970. `queueEmpty`: when no event waited, milliseconds on the monotonic clock. */
  describe(pid: number, now: number, queueEmpty?: number): Actor | undefined {
    return this.mode === "none" ? undefined : this.#reader.describe(pid, now, queueEmpty);
  }

  /** When each of the actor's programs last changed the inode. */
  touchesOf(actor: Actor, inode: Inode): Touches {
    return this.#reader.touchesOf(actor, inode);
  }

  /** The process that made this inode in a new directory. */
  describeMaker(made: Inode, directory: Inode, now: number): Actor | undefined {
    return this.mode === "bpf" ? this.#reader.describeMaker(made, directory, now) : undefined;
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
    this.#history?.[Symbol.dispose]();
  }
}

interface Opened {
  readonly mode: AttributionMode;
  readonly blind: readonly string[];
  readonly settings: AttributionSettings;
  readonly history?: ExecHistory;
}

function openBest({ root, proc = "/proc", best = "bpf" }: AttributionOptions): Opened {
  const settings = { root, proc };
  if (best === "none" || !readStat(proc, process.pid))
    return { mode: "none", blind: [`who did it: ${proc} is not readable`], settings };
  const isNode = seesNode(proc);
  const blind = isNode ? [] : [otherNamespace];
  if (best === "proc" || !isNode)
    return {
      mode: "proc",
      blind: [...blind, shortLived("the exec history is not used")],
      settings,
    };
  try {
    const history = ExecHistory.open(undefined, proc);
    const { maps, unidentified } = history;
    const all = unidentified === undefined ? blind : [...blind, notIdentified(unidentified)];
    return { mode: "bpf", blind: all, settings: { ...settings, maps }, history };
  } catch (error) {
    const reason = messageOf(error);
    return { mode: "proc", blind: [...blind, shortLived(reason)], settings };
  }
}

function shortLived(reason: string): string {
  return `the program and command line of processes that live for a moment only (${reason})`;
}

function notIdentified(reason: string): string {
  return `which file a process that is gone had executed, so that it is no allowed writer (${reason})`;
}

/** Whether this /proc is the node's: shows all processes, under the kernel's pids. */
export function seesNode(proc: string): boolean {
  return readNamespace(proc) === nodePidNamespace;
}

function readNamespace(proc: string): string | undefined {
  try {
    return readlinkSync(`${proc}/self/ns/pid`);
  } catch {
    return undefined;
  }
}
