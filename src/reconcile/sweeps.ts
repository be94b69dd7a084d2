import { messageOf } from "../core/error.ts";
import type { Look } from "../core/change/compare.ts";
import { idleShare, urgentPaths, urgentRound } from "../core/pace.ts";
import { isAtLeast } from "../core/policy/rule.ts";
import { giveBackProgramPages } from "../linux/pages.ts";
import { QuickSweep } from "../observe/quick-sweep.ts";
import { differing } from "./full-sweep.ts";
import type { AgentContext } from "./context.ts";

/** Milliseconds after a full sweep, when its threads have ended. */
const restAfter = 10_000;

/** The timers: quick sweep, full sweep, maintenance. */
export class Sweeps {
  readonly #context: AgentContext;
  readonly #quick: QuickSweep;
  #quickTimer: NodeJS.Timeout | undefined;
  #fullTimer: NodeJS.Timeout | undefined;
  #restTimer: NodeJS.Timeout | undefined;
  #isFullRunning = false;
  #isThorough: () => boolean = () => true;

  constructor(context: AgentContext) {
    this.#context = context;
    this.#quick = new QuickSweep(context.node.root);
    for (const root of context.node.index.roots) {
      if (context.node.index.find(root)) this.#learn({ path: root });
      else this.#quick.learnPlace(root);
    }
    for (const { path, observation } of context.state.current.all())
      this.#learn({ path, after: observation });
    context.metrics.watchedPaths(this.#quick.present);
  }

  /** Notes the stored observations, with which the next quick sweep compares. */
  learn(looks: readonly Look[]): void {
    for (const look of looks) {
      if (!look.after && !look.before && !this.#context.node.index.find(look.path)) continue;
      if (look.after || this.#context.node.index.roots.includes(look.path)) this.#learn(look);
      else this.#quick.forget(look.path);
    }
    this.#context.metrics.watchedPaths(this.#quick.present);
  }

  /** `isThorough`: no engine sees everything, so each quick sweep looks at every path. */
  start(isThorough: () => boolean, maintain: () => void): void {
    const { quickSweepEvery, fullSweepEvery } = this.#context.settings.watch;
    this.#isThorough = isThorough;
    this.#quickTimer = setInterval(() => {
      this.#sweepQuickly();
      maintain();
    }, quickSweepEvery);
    this.#fullTimer = setInterval(() => void this.#sweepFully(), fullSweepEvery);
    this.#restLater();
  }

  stop(): void {
    clearInterval(this.#quickTimer);
    clearInterval(this.#fullTimer);
    clearTimeout(this.#restTimer);
    this.#quick[Symbol.dispose]();
  }

  #learn({ path, after }: Look): void {
    const severity = this.#context.node.index.find(path)?.rule.severity ?? "high";
    this.#quick.learn(path, after, isAtLeast(severity, "high"));
  }

  #sweepQuickly(): void {
    const { settings, metrics } = this.#context;
    const started = performance.now();
    const every = settings.watch.quickSweepEvery;
    const isThorough = this.#isThorough();
    const urgent = isThorough ? Infinity : urgentPaths(this.#quick.urgent, every);
    this.#hint(this.#quick.sweep(isThorough ? Infinity : every * idleShare, urgent));
    metrics.sweep("quick", (performance.now() - started) / 1000);
    metrics.sweepRounds({
      high: (isThorough ? every : urgentRound(every)) / 1000,
      low: (this.#quick.sweepsForOthers * every) / 1000,
    });
  }

  /** Hashes every file within the budget, then verifies the baseline's signature. */
  async #sweepFully(): Promise<void> {
    if (this.#isFullRunning) return;
    this.#isFullRunning = true;
    const { node, pool, state, settings, metrics, health, signal } = this.#context;
    const started = performance.now();
    try {
      const { paths, unseen } = await differing(
        {
          node,
          pool,
          known: state.current,
          bytesPerSecond: settings.watch.fullSweepBudget,
          signal,
        },
        state.current,
      );
      this.#hint(paths);
      const [first] = unseen;
      if (first)
        health.trouble("unreadable", `${unseen.length} paths cannot be read, ${first.path}`);
      else health.over("unreadable");
      state.baseline.trust();
      health.over("baseline");
      metrics.sweep("full", (performance.now() - started) / 1000);
    } catch (error) {
      if (!signal.aborted) health.trouble("baseline", messageOf(error));
    } finally {
      this.#isFullRunning = false;
      if (!signal.aborted) this.#restLater();
    }
  }

  /** Gives back memory that a start or a full sweep needed. */
  #restLater(): void {
    clearTimeout(this.#restTimer);
    this.#restTimer = setTimeout(giveBackProgramPages, restAfter);
  }

  #hint(paths: readonly string[]): void {
    const at = Date.now();
    for (const path of paths)
      this.#context.coalescer.add({ kind: "path", engine: "sweep", at, path, step: "changed" });
  }
}
