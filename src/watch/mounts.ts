import type { Buffer } from "node:buffer";
import { readFileSync, readlinkSync, statSync } from "node:fs";
import type { Mount } from "../core/mount.ts";
import { diffMounts, parseMountinfo } from "../core/mountinfo.ts";
import { nodePath } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { HintQueue } from "./queue.ts";

export interface MountOptions {
  readonly root: string;
  /** True for a path at, above or inside of which something is watched. */
  readonly isWatched: (path: string) => boolean;
  readonly signal: AbortSignal;
  readonly now: () => number;
  /** Milliseconds between two readings. */
  readonly every?: number;
}

/** Which process's mounts to read, and what to take off their mount points. */
export interface MountTable {
  readonly file: string;
  readonly prefix: string;
}

export interface MountWatch extends Engine {
  /** Reads now: each quick sweep asks for it. */
  check(): void;
}

/**
 * Says when something is mounted over a watched path or taken away, which no file event tells. It reads
 * the table each second and compares the bytes; only a different table is parsed.
 */
export function watchMounts(options: MountOptions): MountWatch {
  const table = new Table(options);
  const timer = setInterval(() => table.check(), options.every ?? 1000);
  const stop = () => {
    clearInterval(timer);
    table.queue.end();
  };
  if (options.signal.aborted) stop();
  else options.signal.addEventListener("abort", stop, { once: true });
  return {
    name: "mounts",
    ready: table.ready,
    hints: table.queue,
    add: () => undefined,
    watched: () => table.count,
    blind: ["a mount that was made and taken away again within a second"],
    check: () => table.check(),
  };
}

/**
 * The node's own table, where pid 1 sees the node's root as its own (hostPID, or a private mount
 * namespace), because a mount made on the node need not arrive here; else ours, with the root taken off.
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
    // Not allowed to look at pid 1 (ptrace(2), PTRACE_MODE_READ), or no such namespace.
    return own;
  }
}

/** The mounts inside the root, with the node's own paths. */
export function readMounts(table: MountTable): Mount[] {
  return mountsOf(readFileSync(table.file), table.prefix);
}

function mountsOf(bytes: Buffer, prefix: string): Mount[] {
  return parseMountinfo(bytes).flatMap((mount) => {
    const path = nodePath(prefix, mount.path);
    return path === undefined ? [] : [{ ...mount, path }];
  });
}

class Table {
  readonly queue = new HintQueue("mounts");
  readonly ready: Promise<void>;
  readonly #options: MountOptions;
  readonly #table: MountTable;
  #bytes: Buffer | undefined;
  #mounts: readonly Mount[] = [];

  constructor(options: MountOptions) {
    this.#options = options;
    this.#table = findMountTable(options.root);
    this.check();
    this.ready = Promise.resolve();
  }

  get count(): number {
    return this.#mounts.length;
  }

  check(): void {
    const at = this.#options.now();
    try {
      const bytes = readFileSync(this.#table.file);
      if (this.#bytes?.equals(bytes)) return;
      const mounts = mountsOf(bytes, this.#table.prefix);
      const changes = this.#bytes ? diffMounts(this.#mounts, mounts, this.#options.isWatched) : [];
      this.#bytes = bytes;
      this.#mounts = mounts;
      for (const change of changes) this.queue.push({ ...change, engine: "mounts", at });
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.queue.push({ kind: "failed", engine: "mounts", at, detail });
    }
  }
}
