import { setTimeout as pause } from "node:timers/promises";
import type { FoldedChange, JudgedChange } from "../core/change.ts";
import { IntegrityError } from "../core/error.ts";
import { compileRules } from "../core/rules.ts";
import type { Rule } from "../core/rule.ts";
import type { Eyes } from "../reconcile/look.ts";
import { reconcile } from "../reconcile/reconcile.ts";
import type { Group, MountHint, PathHints } from "../reconcile/reconcile.ts";
import { scan } from "../reconcile/sweep.ts";
import type { HintGroup } from "../watch/coalesce.ts";
import { transact } from "../sqlite/open.ts";
import { differing } from "./pass.ts";
import type { Sweeps } from "./sweeps.ts";
import type { Running } from "./running.ts";
import { rememberWatched, watchedPolicy } from "./watched.ts";

interface Helpers {
  readonly eyes: Eyes;
  readonly sweeps: Sweeps;
  readonly onAlert: (alert: JudgedChange | FoldedChange) => void;
}

/** Paths that are looked at and committed together. */
const sliceSize = 2000;
const retryAfter = 1000;

/** Takes groups of hints one after the other, from the coalescer to the commit. */
export class Reconciliation {
  readonly #running: Running;
  readonly #helpers: Helpers;

  constructor(running: Running, helpers: Helpers) {
    this.#running = running;
    this.#helpers = helpers;
  }

  /** Everything is compared with what was last seen: what happened while the agent was down is told as such. */
  async firstSweep(): Promise<void> {
    const { node, pool, state, wellbeing, metrics } = this.#running;
    wellbeing.sweeping();
    this.#forgetUnwatched();
    const started = performance.now();
    const { paths, unseen } = await differing({ node, pool, known: state.current }, state.current);
    if (unseen.length > 0)
      wellbeing.trouble("unreadable", `${unseen.length} paths cannot be read, ${unseen[0]?.path}`);
    const wasWatched = this.#formerlyWatched();
    const news = paths.filter((path) => !wasWatched(path));
    await this.#adopt(news);
    await this.#slices(paths.filter(wasWatched).map(found), true);
    this.#rememberPolicy();
    metrics.sweep("full", (performance.now() - started) / 1000);
  }

  /** Until the coalescer ends. */
  async run(): Promise<void> {
    for await (const group of this.#running.coalescer) await this.#handle(group);
  }

  async #handle(group: HintGroup): Promise<void> {
    const hints = new Map<string, PathHints>(group.paths.map((one) => [one.path, one]));
    const mounts = group.others.filter(
      (one): one is MountHint => one.kind === "mounted" || one.kind === "unmounted",
    );
    const trees = [
      ...group.trees.map(({ path }) => path),
      ...mounts.map(({ mount }) => mount.path),
    ];
    for (const tree of trees)
      for await (const path of scan(tree, this.#helpers.eyes))
        if (!hints.has(path)) hints.set(path, found(path));
    await this.#slices([...hints.values()], false, mounts);
  }

  async #slices(
    paths: readonly PathHints[],
    offline: boolean,
    mounts: readonly MountHint[] = [],
  ): Promise<void> {
    let told = mounts;
    for (let from = 0; from < paths.length || told.length > 0; from += sliceSize) {
      await this.#reconcile({ paths: paths.slice(from, from + sliceSize), mounts: told, offline });
      told = [];
    }
  }

  /** Nothing is lost for want of a disk: what cannot be stored is looked at again until it can. */
  async #reconcile(group: Group): Promise<void> {
    const { ledger, wellbeing, metrics, signal } = this.#running;
    const { eyes, sweeps, onAlert } = this.#helpers;
    for (;;) {
      try {
        await reconcile(group, {
          eyes,
          now: Date.now,
          commit: (looks, changes) => {
            const told = ledger.commit(looks, changes);
            sweeps.learn(looks);
            const now = Date.now();
            for (const one of changes) {
              metrics.change({ ...one, kind: one.change.kind });
              if (one.engine !== "sweep") metrics.alertLatency((now - one.at) / 1000);
              metrics.attribution(
                one.actor ? (one.actor.exe === undefined ? "pid" : "full") : "none",
              );
            }
            for (const one of told) onAlert(one);
          },
        });
        wellbeing.over("state");
        return;
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        wellbeing.trouble("state", error.message);
        if (signal.aborted) return;
        await pause(retryAfter);
      }
    }
  }

  /** Rows of paths that the policy no longer watches are dropped without a word: nothing was deleted. */
  #forgetUnwatched(): void {
    const { state, node } = this.#running;
    const unwatched: string[] = [];
    for (const path of state.current.paths()) if (!node.index.find(path)) unwatched.push(path);
    if (unwatched.length === 0) return;
    transact(state.db, () => {
      for (const path of unwatched) state.current.delete(path);
    });
  }

  /** Paths that the policy of the last run did not watch are no news when they are there: they are taken as they are. */
  async #adopt(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return;
    const { eyes, sweeps } = this.#helpers;
    const { ledger, wellbeing } = this.#running;
    const hints = paths.map(found);
    for (let from = 0; from < hints.length; from += sliceSize) {
      const group = { paths: hints.slice(from, from + sliceSize), mounts: [], offline: true };
      const commit = (looks: Parameters<typeof sweeps.learn>[0]): void => {
        ledger.commit(looks, []);
        sweeps.learn(looks);
      };
      await reconcile(group, { eyes, now: Date.now, commit });
    }
    wellbeing.incident(
      "policy",
      `${paths.length} paths are watched since the policy changed and were never approved`,
    );
  }

  #formerlyWatched(): (path: string) => boolean {
    const { state, node } = this.#running;
    const last = watchedPolicy(state) ?? "[]";
    if (last === JSON.stringify(node.policy.rules)) return () => true;
    const former = compileRules(JSON.parse(last) as Rule[]);
    return (path) => former.find(path) !== undefined || state.current.get(path) !== undefined;
  }

  /** From now on everything under this policy has been seen, and what comes is news. */
  #rememberPolicy(): void {
    const { state, node } = this.#running;
    const rules = JSON.stringify(node.policy.rules);
    if (watchedPolicy(state) === rules) return;
    transact(state.db, () => rememberWatched(state, rules));
  }
}

function found(path: string): PathHints {
  return { path, steps: ["changed"], from: [], actors: [], lastAt: Date.now(), engine: "sweep" };
}
