import { join } from "node:path";
import type { Hint, HintSink } from "../core/change/hint.ts";
import { isBelow, printable } from "../core/path.ts";
import type { Engine, StartEngine } from "../watch/engine.ts";
import { filesystemOf } from "../watch/mounts.ts";
import { partOf } from "../watch/part.ts";
import { startEngine } from "../watch/select.ts";
import { Probe } from "../watch/selftest.ts";
import type { AgentContext } from "../reconcile/context.ts";

type Unwatched = Extract<Hint, { readonly kind: "unwatched" }>;

interface CoverageOptions {
  readonly context: Pick<AgentContext, "node" | "settings" | "health">;
  /** The engine in force. */
  readonly main: () => Engine | undefined;
  readonly chokidar: StartEngine;
  readonly sink: HintSink;
  /** Looks at a directory and everything below it. */
  readonly look: (path: string, why: string) => void;
  readonly signal: AbortSignal;
}

/** Directories that are tried again in one round. */
const triesInRound = 64;
/** Milliseconds in which the engine's reports of one cause gather. */
const gathering = 100;
const trouble = "watches";

/**
 * The directories that the engine in force cannot watch (fanotify on a btrfs subvolume: EXDEV; inotify at its limit:
 * ENOSPC). Gives them to chokidar where fanotify fails, and tries them again: the cause may be gone.
 */
export class Coverage {
  readonly #options: CoverageOptions;
  readonly #gaps = new Map<string, Unwatched>();
  /** Gaps that were tried in the last round and not reported since. */
  #tried: readonly string[] = [];
  #part: { readonly key: string; readonly engine: Engine | undefined; stop(): void } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isUpdating = false;

  constructor(options: CoverageOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  /** Every directory is watched by the engine in force. */
  get isWhole(): boolean {
    return this.#gaps.size === 0;
  }

  /** An engine could not watch a directory. */
  note(hint: Unwatched): void {
    const key = keyOf(hint);
    const isNew = !this.#gaps.has(key);
    this.#gaps.set(key, hint);
    this.#tried = this.#tried.filter((one) => one !== key);
    if (isNew) this.#updateSoon();
  }

  /** Something was mounted or unmounted here. */
  add(path: string): void {
    const isOurs = this.#gapsOf("fanotify").some(
      (gap) => gap.path === path || isBelow(path, gap.path) || isBelow(gap.path, path),
    );
    if (isOurs) this.#part?.engine?.add(path);
  }

  /** The engine in force starts again: what it cannot watch it reports again. */
  clear(): void {
    this.#stop();
    this.#gaps.clear();
    this.#tried = [];
  }

  /** Tries again what could not be watched. Call it in each round of the quick sweep. */
  retry(): void {
    if (this.#isUpdating || this.isWhole) return;
    const recovered = this.#tried.flatMap((key) => this.#gaps.get(key) ?? []);
    for (const gap of recovered) {
      this.#gaps.delete(keyOf(gap));
      this.#options.look(gap.path, "it is watched again");
    }
    if (recovered.length > 0) this.#updateSoon();
    const [only] = this.#gaps.values();
    // The engine named no further directories: it must begin again to know them.
    if (this.#gaps.size === 1 && only?.detail.startsWith("more than"))
      return this.#options.main()?.stop?.();
    const next = [...this.#gaps.entries()].slice(0, triesInRound);
    this.#tried = next.map(([key]) => key);
    for (const [key, gap] of next) {
      // To the end, so that each has its turn.
      this.#gaps.delete(key);
      this.#gaps.set(key, gap);
      this.#engineOf(gap)?.add(gap.path);
    }
  }

  /** Starts chokidar for the directories that fanotify cannot watch, then says which these are. */
  async update(): Promise<void> {
    if (this.#isUpdating) return this.#updateSoon();
    this.#isUpdating = true;
    try {
      const paths = this.#gapsOf("fanotify").map(({ path }) => path);
      const key = paths.toSorted().join("\0");
      if ((this.#part?.key ?? "") !== key) await this.#watchPart(paths, key);
      this.#say();
    } finally {
      this.#isUpdating = false;
      this.#options.context.health.unblock(trouble);
    }
  }

  #updateSoon(): void {
    if (this.#options.signal.aborted) return;
    if (this.#gapsOf("fanotify").length > 0)
      this.#options.context.health.block(
        trouble,
        "another engine starts where fanotify cannot watch",
      );
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.update();
    }, gathering);
  }

  async #watchPart(paths: readonly string[], key: string): Promise<void> {
    this.#stop();
    for (const gap of this.#partGaps()) this.#gaps.delete(keyOf(gap));
    if (paths.length === 0) return;
    const { context, chokidar, sink, look, signal } = this.#options;
    const { node, settings, health } = context;
    const stop = new AbortController();
    const { engine, failures } = await startEngine(
      "chokidar",
      { chokidar },
      {
        root: node.root,
        index: partOf(node.index, paths),
        directories: () => [],
        signal: AbortSignal.any([signal, stop.signal]),
        now: Date.now,
        sink,
        probe: new Probe({ directory: join(settings.state, "probe", "part") }),
        canaryEvery: settings.watch.heartbeatEvery,
      },
    );
    for (const failure of failures) health.trouble("engine chokidar", failure.reason);
    if (engine) health.over("engine chokidar");
    this.#part = { key, engine, stop: () => stop.abort() };
    for (const path of paths) look(path, "another engine watches it");
    void engine?.ended.then(() => this.#partEnded(engine));
  }

  /** The canary died: the part is started again. */
  #partEnded(engine: Engine): void {
    if (this.#options.signal.aborted || this.#part?.engine !== engine) return;
    this.#part = undefined;
    this.#updateSoon();
  }

  #say(): void {
    const { health } = this.#options.context;
    const [first] = this.#gaps.values();
    if (!first) return health.over(trouble);
    if (first.engine !== "fanotify")
      return health.trouble(trouble, `not every directory is watched: ${first.detail}`);
    const by = this.#part?.engine
      ? "chokidar watches there, which names no process"
      : "sweeps look there";
    const [gap = first] = this.#gapsOf("fanotify").toSorted((a, b) => (a.path < b.path ? -1 : 1));
    health.trouble(trouble, `fanotify cannot watch ${this.#placeOf(gap)}: ${by}`);
  }

  #placeOf({ path, detail }: Unwatched): string {
    const type = filesystemOf(this.#options.context.node.root, path);
    return `${printable(path)} (${detail}${type === undefined ? "" : ` on ${type}`})`;
  }

  #gapsOf(engine: Unwatched["engine"]): readonly Unwatched[] {
    return [...this.#gaps.values()].filter((gap) => gap.engine === engine);
  }

  /** Gaps of chokidar as a stand-in. */
  #partGaps(): readonly Unwatched[] {
    return this.#options.main()?.name === "fanotify" ? this.#gapsOf("chokidar") : [];
  }

  #engineOf(gap: Unwatched): Engine | undefined {
    const main = this.#options.main();
    return gap.engine === main?.name ? main : this.#part?.engine;
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const part = this.#part;
    this.#part = undefined;
    part?.stop();
  }
}

function keyOf({ engine, path }: Unwatched): string {
  return `${engine} ${path}`;
}
