import { join } from "node:path";
import type { JudgedChange } from "../core/change/change.ts";
import type { Actor, EngineName, Hint, HintSink } from "../core/change/hint.ts";
import type { Touches } from "../core/change/images.ts";
import type { Observation } from "../core/change/observation.ts";
import { Attribution } from "../attribute/attribute.ts";
import type { AttributionMode } from "../attribute/attribute.ts";
import { startChokidar } from "../watch/chokidar/engine.ts";
import { nodePath, seenAt } from "../watch/engine.ts";
import type { Engine } from "../watch/engine.ts";
import { fanotifyEngine } from "../watch/fanotify/engine.ts";
import { watchMounts } from "../watch/mounts.ts";
import { startEngine } from "../watch/select.ts";
import type { EngineFactories, Selected } from "../watch/select.ts";
import { Probe } from "../watch/selftest.ts";
import { matters } from "../reconcile/remembered/mounts.ts";
import { Coverage } from "./coverage.ts";
import { describeProgram, ownFiles, SelfGuard } from "./self/guard.ts";
import type { AgentContext } from "../reconcile/context.ts";

/** Milliseconds before a failed engine is tried again, doubled each time. */
const firstRetry = 1000;
const longestRetry = 300_000;

/** The engine in force and the mount watcher. Their hints go to the coalescer. */
export class Engines implements AsyncDisposable {
  readonly #context: AgentContext;
  readonly #stop = new AbortController();
  readonly #loops: Promise<void>[] = [];
  readonly #mounts: Engine;
  readonly #attribution: Attribution;
  readonly #factories: EngineFactories;
  readonly #self: SelfGuard;
  readonly #coverage: Coverage;
  #engine: Selected["engine"];

  constructor(context: AgentContext, report: (change: JudgedChange) => void) {
    this.#context = context;
    const { node, settings } = context;
    this.#self = new SelfGuard({
      stateDir: settings.state,
      own: ownFiles(settings),
      isRuled: (seen) => {
        const path = nodePath(node.root, seen);
        return path !== undefined && node.index.find(path) !== undefined;
      },
      ownProgram: describeProgram(),
      ownPid: process.pid,
      report,
    });
    this.#attribution = Attribution.open({ root: node.root });
    this.#factories = {
      fanotify: fanotifyEngine({
        describe: (pid, now, queueEmpty) => this.#attribution.describe(pid, now, queueEmpty),
        isHurried: this.#attribution.mode === "proc",
        programs: programsIn(node),
      }),
      chokidar: startChokidar,
    };
    this.#coverage = new Coverage({
      context,
      main: () => this.#engine,
      chokidar: startChokidar,
      sink: this.#take,
      look: (path, why) => this.#lookAt(path, why),
      signal: this.#stop.signal,
    });
    this.#mounts = watchMounts({
      root: node.root,
      isWatched: (path) =>
        matters(path, node.index) || this.#self.isHiddenBy(seenAt(node.root, path)),
      signal: this.#stop.signal,
      now: Date.now,
      sink: this.#take,
    });
  }

  /** "sweep" when no engine works here. */
  get name(): EngineName {
    return this.#engine?.name ?? "sweep";
  }

  /** An engine with the kernel's full evidence watches every directory. */
  get isWhole(): boolean {
    return this.name === "fanotify" && this.#coverage.isWhole;
  }

  /** Tries again what could not be watched. */
  retry(): void {
    this.#coverage.retry();
  }

  /** Where attribution comes from: the exec history, /proc alone, or nowhere, because only fanotify gives pids. */
  get attribution(): AttributionMode {
    return this.name === "fanotify" ? this.#attribution.mode : "none";
  }

  /** Everything that the kernel has queued by now is in the coalescer when this returns. */
  drain(): void {
    this.#engine?.drain?.();
  }

  /** The process that made a file in a new directory before the engine watched that directory. */
  makerOf(made: Observation, directory: Observation): Actor | undefined {
    if (this.name !== "fanotify") return undefined;
    return this.#attribution.describeMaker(made, directory, Date.now());
  }

  /** When each of the actor's programs last changed the inode. */
  touchesOf(actor: Actor, inode: Pick<Observation, "dev" | "ino">): Touches {
    return this.#attribution.touchesOf(actor, inode);
  }

  async start(): Promise<void> {
    this.#loops.push(this.#mounts.ended);
    const selected = await this.#select();
    const { blind } = this.#attribution;
    if (this.name === "fanotify" && blind.length > 0)
      this.#context.health.trouble("attribution", blind.join("; "));
    if (this.#context.settings.engine !== "sweep") this.#loops.push(this.#keep(selected.engine));
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#self[Symbol.dispose]();
    this.#attribution[Symbol.dispose]();
  }

  async #select(): Promise<Selected> {
    const { node, settings, log, metrics, health } = this.#context;
    const directory = join(settings.state, "probe");
    this.#coverage.clear();
    const selected = await startEngine(settings.engine, this.#factories, {
      root: node.root,
      index: node.index,
      directories: () => [],
      signal: this.#stop.signal,
      now: Date.now,
      sink: this.#take,
      probe: new Probe({ directory }),
      extra: this.#self,
      canaryEvery: settings.watch.heartbeatEvery,
    });
    if (this.#stop.signal.aborted) return selected;
    this.#engine = selected.engine;
    await this.#coverage.update();
    metrics.engine(this.name);
    for (const failure of selected.failures)
      health.trouble(`engine ${failure.engine}`, failure.reason);
    if (selected.engine) health.over(`engine ${selected.engine.name}`);
    metrics.attributionMode(this.attribution);
    log.info(
      {
        engine: this.name,
        attribution: this.attribution,
        watched: selected.engine?.watched() ?? 0,
      },
      "engine",
    );
    return selected;
  }

  /** Waits until the engine fails, then starts the best one that works and sweeps everything. Without one, tries again. */
  async #keep(first: Selected["engine"]): Promise<void> {
    let engine = first;
    let wait = firstRetry;
    while (!this.#stop.signal.aborted) {
      await engine?.ended;
      if (this.#stop.signal.aborted) return;
      await pause(wait, this.#stop.signal);
      if (this.#stop.signal.aborted) return;
      wait = Math.min(wait * 2, longestRetry);
      engine = (await this.#select()).engine;
      if (engine) this.#lookEverywhere("the engine was started again");
    }
  }

  /** The end of every engine's way: counts the hint, acts on it and queues it. */
  readonly #take: HintSink = (hint) => {
    const { coalescer, metrics } = this.#context;
    metrics.hint(hint.engine);
    this.#note(hint);
    coalescer.add(hint);
  };

  #note(hint: Hint): void {
    const { metrics, health, node } = this.#context;
    switch (hint.kind) {
      case "overflow":
        metrics.overflow(hint.engine);
        health.incident(`engine ${hint.engine}`, `events were lost: ${hint.detail}`);
        this.#lookEverywhere("events were lost");
        return;
      case "failed":
        health.trouble(`engine ${hint.engine}`, hint.detail);
        return;
      case "unwatched":
        this.#coverage.note(hint);
        return;
      case "mounted":
      case "unmounted":
        // The mount shows other inodes at this path, which the engine does not watch yet.
        this.#engine?.add(hint.mount.path);
        this.#coverage.add(hint.mount.path);
        this.#self.noteMount(hint, seenAt(node.root, hint.mount.path));
        return;
      case "path":
      case "tree":
    }
  }

  #lookEverywhere(why: string): void {
    for (const path of this.#context.node.index.roots) this.#lookAt(path, why);
  }

  #lookAt(path: string, why: string): void {
    const hint = { kind: "tree", engine: "sweep", at: Date.now(), path, why } as const;
    this.#context.coalescer.add(hint);
  }
}

/** Paths as the agent sees them, because engines know no others. */
function programsIn({ policy, root }: AgentContext["node"]): readonly string[] {
  const all = policy.rules.flatMap(({ writers }) => writers);
  return [...new Set(all)].map((path) => seenAt(root, path));
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end, { once: true });
  });
}
