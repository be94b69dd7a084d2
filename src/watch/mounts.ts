import { messageOf } from "../core/error.ts";
import { closeSync, openSync, readFileSync, readlinkSync, statSync } from "node:fs";
import type { Hint, HintSink } from "../core/change/hint.ts";
import { isBelow } from "../core/path.ts";
import type { Mount } from "../core/change/mount.ts";
import { diffMounts, parseMountinfo } from "../core/change/mountinfo.ts";
import { Waiter } from "../linux/poll.ts";
import { nodePath } from "./engine.ts";
import type { Engine } from "./engine.ts";

interface MountOptions {
  readonly root: string;
  /** True for a mount point at, above or inside of a watched path. */
  readonly isWatched: (path: string) => boolean;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly sink: HintSink;
}

/** Which process's mount table to read, and the prefix to remove. */
export interface MountTable {
  readonly file: string;
  readonly prefix: string;
}

/** Reports mounts and unmounts over watched paths, for which the kernel gives no file event. */
export function watchMounts(options: MountOptions): Engine {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const table = openTable(options, end);
  const stop = (): void => (table ? table.stop() : end());
  if (options.signal.aborted) stop();
  else options.signal.addEventListener("abort", stop, { once: true });
  return {
    name: "mounts",
    ready: Promise.resolve(),
    ended,
    add: () => undefined,
    watched: () => table?.count ?? 0,
    blind: ["a mount that was made and taken away again within some milliseconds"],
  };
}

/**
 * The node's own table, if pid 1 has the node's root as its own (hostPID, or a private mount namespace), because a
 * mount on the node need not arrive here; else ours without the root.
 */
export function findMountTable(root: string): MountTable {
  const own: MountTable = { file: "/proc/self/mountinfo", prefix: root };
  try {
    if (readlinkSync("/proc/1/ns/mnt") === readlinkSync("/proc/self/ns/mnt")) return own;
    const theirs = statSync("/proc/1/root/", { bigint: true });
    const seen = statSync(root, { bigint: true });
    const isNode = theirs.dev === seen.dev && theirs.ino === seen.ino;
    if (!isNode || readFileSync("/proc/1/mountinfo").length === 0) return own;
    return { file: "/proc/1/mountinfo", prefix: "/" };
  } catch {
    // Not allowed (ptrace(2), PTRACE_MODE_READ), or no such namespace.
    return own;
  }
}

/** The mounts inside the root, with node paths. */
export function readMounts(table: MountTable): Mount[] {
  return parseMountinfo(readFileSync(table.file)).flatMap((mount) => {
    const path = nodePath(table.prefix, mount.path);
    return path === undefined ? [] : [{ ...mount, path }];
  });
}

/** The type of the filesystem that holds a node path. */
export function filesystemOf(root: string, path: string): string | undefined {
  try {
    const holding = readMounts(findMountTable(root)).filter(
      (mount) => mount.path === path || isBelow(path, mount.path),
    );
    // A later mount at the same place hides an earlier one.
    return holding.toSorted((a, b) => a.path.length - b.path.length).at(-1)?.type;
  } catch {
    return undefined;
  }
}

function openTable(options: MountOptions, onEnd: () => void): Table | undefined {
  try {
    return new Table(options, onEnd);
  } catch (error) {
    options.sink(failed(options, error));
    return undefined;
  }
}

function failed({ now }: MountOptions, error: unknown): Hint {
  const detail = messageOf(error);
  return { kind: "failed", engine: "mounts", at: now(), detail };
}

/** The last mount table. The kernel reports when it changes (proc_pid_mountinfo(5)). */
class Table {
  readonly #onEnd: () => void;
  readonly #options: MountOptions;
  readonly #table: MountTable;
  readonly #fd: number;
  readonly #waiter: Waiter;
  #mounts: readonly Mount[];
  #isStopped = false;

  constructor(options: MountOptions, onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#options = options;
    this.#table = findMountTable(options.root);
    // Opened before it is read, so that a mount in between is reported.
    this.#fd = openSync(this.#table.file, "r");
    this.#waiter = new Waiter(this.#fd, "changed");
    this.#mounts = readMounts(this.#table);
    this.#wait();
  }

  get count(): number {
    return this.#mounts.length;
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiter.wake();
  }

  #wait(): void {
    this.#waiter.wait((outcome) => {
      if (!this.#isStopped && outcome === "event" && this.#read()) this.#wait();
      else this.#end(outcome);
    });
  }

  /** False: unreadable. */
  #read(): boolean {
    const at = this.#options.now();
    try {
      const mounts = readMounts(this.#table);
      const changes = diffMounts(this.#mounts, mounts, this.#options.isWatched);
      this.#mounts = mounts;
      for (const change of changes) this.#options.sink({ ...change, engine: "mounts", at });
      return true;
    } catch (error) {
      this.#options.sink(failed(this.#options, error));
      return false;
    }
  }

  #end(outcome: "event" | "woken" | undefined): void {
    if (outcome === undefined)
      this.#options.sink(failed(this.#options, `poll ${this.#table.file}`));
    this.#waiter[Symbol.dispose]();
    closeSync(this.#fd);
    this.#onEnd();
  }
}
