import { lstatSync } from "node:fs";
import type { Stats } from "node:fs";
import { FSWatcher } from "chokidar";
import { IntegrityError } from "../../core/error.ts";
import type { Hint, Step } from "../../core/change/hint.ts";
import { isBelow, joinPath, nameOf } from "../../core/path.ts";
import { nodePath, seenAt } from "../engine.ts";
import type { Engine, EngineOptions } from "../engine.ts";

/** At most this many unwatched directories are reported by name. */
const namedFailures = 1000;

const blind = [
  "a write through mmap: inotify, as Node uses it, gives no event",
  "a write, chmod or new name through a hard link outside the watched directories",
  "an overflow of the kernel's queue (fs.inotify.max_queued_events): events are lost without a word; only the canary and the sweeps notice",
  "who did it: inotify gives no pid",
  "when a writer has finished: inotify, as Node uses it, does not report the close",
  "files below a directory whose name is not UTF-8 or holds a backslash",
  "flags set with chattr, and mounts over a watched path",
] as const;

/**
 * The portable engine: one chokidar tree from the root down, pruned to directories. It holds one inotify watch for
 * each directory and none for files, and sees a path that does not exist yet appear.
 */
export function startChokidar(options: EngineOptions): Engine {
  const tree = new Tree(options);
  return {
    name: "chokidar",
    ready: tree.ready,
    ended: tree.ended,
    add: (path) => tree.add(path),
    watched: () => tree.watched,
    blind,
  };
}

class Tree {
  readonly #ending = Promise.withResolvers<void>();
  readonly ready: Promise<void>;
  readonly #options: EngineOptions;
  readonly #watcher: FSWatcher;
  /** As the agent sees them, like every path for chokidar. */
  readonly #directories = new Set<string>();
  /** Watched on request, without a rule. */
  readonly #extra = new Set<string>();
  readonly #unwatched = new Set<string>();
  /** Directories that became something else: chokidar was made to forget them. */
  readonly #replaced = new Set<string>();
  #isReady = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    for (const path of options.directories()) this.#noteExtra(path);
    this.#watcher = new FSWatcher({
      // Makes chokidar report "addDir" for every directory that it begins to watch.
      ignoreInitial: false,
      atomic: false,
      awaitWriteFinish: false,
      followSymlinks: false,
      alwaysStat: false,
      backend: "native",
      ignored: (seen, stats) => this.#isIgnored(seen, stats),
    });
    this.ready = this.#start();
    // The caller may await it late: this keeps the rejection handled.
    this.ready.catch(() => undefined);
    const stop = () => void this.#close();
    if (options.signal.aborted) stop();
    else options.signal.addEventListener("abort", stop, { once: true });
  }

  get ended(): Promise<void> {
    return this.#ending.promise;
  }

  get watched(): number {
    return this.#directories.size - this.#unwatched.size;
  }

  add(path: string): void {
    if (this.#watcher.closed) return;
    const seen = seenAt(this.#options.root, path);
    this.#noteExtra(path);
    const isMissing = this.#unwatched.delete(seen) || !this.#directories.has(seen);
    if (isMissing) this.#watcher.unwatch(seen).add(seen);
  }

  #start(): Promise<void> {
    const { root } = this.#options;
    return new Promise((resolve, reject) => {
      const fail = (detail: string) =>
        reject(new IntegrityError("ENGINE_FAILED", `chokidar: cannot watch ${root}: ${detail}`));
      if (this.#watcher.options.usePolling) {
        fail("native watching expected, polling found (CHOKIDAR_USEPOLLING is set)");
        return;
      }
      this.#watcher
        .on("raw", (event, name, details) => this.#onRaw(event, name, details))
        .on("all", (event, seen) => this.#onAll(event, seen))
        .on("error", (error) => this.#onError(error))
        .on("ready", () => {
          this.#isReady = true;
          if (this.watched > 0) resolve();
          else fail("not one watch could be set, see fs.inotify.max_user_instances and _watches");
        });
      this.#options.signal.addEventListener("abort", () => fail("stopped"), { once: true });
      this.#watcher.add([root, ...[...this.#extra].map((path) => seenAt(root, path))]);
    });
  }

  async #close(): Promise<void> {
    try {
      await this.#watcher.close();
    } catch {
      // A watch that cannot be closed is of no use either way.
    } finally {
      this.#ending.resolve();
    }
  }

  #noteExtra(path: string): void {
    if (!this.#options.index.mayMatchBelow(path)) this.#extra.add(path);
  }

  #isRelevant(path: string): boolean {
    if (path === "/" || this.#options.index.mayMatchBelow(path)) return true;
    for (const extra of this.#extra) if (path === extra || isBelow(path, extra)) return true;
    return false;
  }

  /** Chokidar asks with the name alone for each event, and with the stat for each entry of a listing. */
  #isIgnored(seen: string, stats: Stats | undefined): boolean {
    const path = nodePath(this.#options.root, seen);
    if (path === undefined) return true;
    if (this.#directories.has(seen)) return stats !== undefined && !stats.isDirectory();
    if (!this.#isRelevant(path)) return true;
    if (stats) {
      if (stats.isDirectory()) this.#directories.add(seen);
      return !stats.isDirectory();
    }
    return this.#extra.has(path) ? false : !statOf(seen)?.isDirectory();
  }

  /** inotify's own event, before chokidar interprets it. */
  #onRaw(event: string, name: unknown, details: unknown): void {
    const directory = (details as { readonly watchedPath?: unknown }).watchedPath;
    if (typeof directory !== "string") return;
    // A name that is not UTF-8 arrives garbled: list its directory instead.
    if (typeof name !== "string" || name.includes("�")) {
      this.#hint(directory, "changed");
      return;
    }
    const seen = joinPath(directory, name);
    // An event on the directory itself carries its own name, which may also be an entry's.
    const isItself = name === nameOf(directory);
    if (isItself) this.#hint(directory, "changed");
    const step = event === "rename" ? this.#stepOf(seen) : "changed";
    this.#hint(seen, isItself ? "changed" : step);
  }

  /** Chokidar's findings, needed for directories only. */
  #onAll(event: string, seen: string): void {
    if (event === "addDir") {
      this.#directories.add(seen);
      // Chokidar sets the watch right after this event: the sweep must begin later.
      if (this.#isReady) setImmediate(() => this.#hintTree(seen, "a directory appeared"));
    } else if (event === "unlinkDir") {
      this.#directories.delete(seen);
      this.#unwatched.delete(seen);
      this.#hint(seen, "deleted");
    }
  }

  #onError(error: unknown): void {
    const { code, path, message } = error as NodeJS.ErrnoException;
    const at = this.#options.now();
    if (path === undefined) {
      this.#options.sink({ kind: "failed", engine: "chokidar", at, detail: message });
      this.#ending.resolve();
      return;
    }
    if (this.#unwatched.has(path)) return;
    this.#unwatched.add(path);
    if (this.#unwatched.size > namedFailures + 1) return;
    const isNamed = this.#unwatched.size <= namedFailures;
    const node = isNamed ? nodePath(this.#options.root, path) : "/";
    const detail = isNamed ? (code ?? message) : `more than ${namedFailures} directories: ${code}`;
    if (node !== undefined) {
      this.#options.sink({ kind: "unwatched", engine: "chokidar", at, path: node, detail });
    }
  }

  /** A guess whether a name came or went. No verdict depends on it. */
  #stepOf(seen: string): Step {
    const stats = statOf(seen);
    const isDirectory = stats?.isDirectory() ?? false;
    if (stats && !isDirectory && this.#directories.has(seen)) this.#forget(seen);
    if (isDirectory && this.#replaced.delete(seen)) this.#watcher.add(seen);
    // It may have been an attribute of an existing directory: inotify's flag for directories hides that.
    else if (isDirectory && this.#directories.has(seen)) return "changed";
    return stats ? "created" : "deleted";
  }

  /** Makes chokidar forget a directory that something else replaced. */
  #forget(seen: string): void {
    this.#watcher.unwatch(seen);
    this.#replaced.add(seen);
    for (const one of this.#directories) {
      if (one !== seen && !isBelow(one, seen)) continue;
      this.#directories.delete(one);
      this.#unwatched.delete(one);
    }
  }

  #hint(seen: string, step: Step): void {
    const path = nodePath(this.#options.root, seen);
    if (path === undefined || !this.#isRelevant(path)) return;
    const hint: Hint = { kind: "path", engine: "chokidar", at: this.#options.now(), path, step };
    this.#options.sink(hint);
  }

  #hintTree(seen: string, why: string): void {
    const path = nodePath(this.#options.root, seen);
    if (path === undefined || !this.#isRelevant(path)) return;
    this.#options.sink({ kind: "tree", engine: "chokidar", at: this.#options.now(), path, why });
  }
}

/** Undefined: absent or inaccessible. */
function statOf(seen: string): Stats | undefined {
  try {
    return lstatSync(seen, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}
