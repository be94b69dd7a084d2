import { setImmediate as turn, setTimeout as pause } from "node:timers/promises";
import type { JudgedChange } from "../core/change/change.ts";
import type { Actor } from "../core/change/hint.ts";
import { IntegrityError, isBusy } from "../core/error.ts";
import type { Look } from "../core/change/compare.ts";
import { rowOf } from "../core/change/observation.ts";
import type { HashPool } from "../observe/hash/pool.ts";
import type { NodeView } from "./look.ts";
import { joinHints } from "./hints.ts";
import type { PathHints } from "./hints.ts";
import { reconcile } from "./reconcile.ts";
import type { Group, MountHint } from "./reconcile.ts";
import { scan } from "./changed-below.ts";
import type { HintGroup } from "../watch/coalesce.ts";
import { transact } from "../sqlite/open.ts";
import { viewIn, gaugeOf } from "./deferred-hash.ts";
import { largeBytes } from "../core/size-class.ts";
import { approvalsOf } from "./approved/approvals.ts";
import type { Reported } from "./commit.ts";
import { apart, LargeFiles } from "./large-files.ts";
import type { Batch, Lane } from "./large-files.ts";
import { mountsSince, rememberMounts } from "./remembered/mounts.ts";
import { differing } from "./full-sweep.ts";
import { Slices } from "./slices.ts";
import type { Drift } from "./approved/drift.ts";
import type { Sweeps } from "./sweeps.ts";
import { untilUnlocked, whenUnlocked } from "./when-unlocked.ts";
import type { AgentContext } from "./context.ts";
import { formerlyWatched, rememberWatched } from "./remembered/policy.ts";

/** A view, and the pool in which it hashes. */
interface PathView {
  readonly view: NodeView;
  readonly pool: HashPool;
}

interface Helpers {
  readonly view: NodeView;
  readonly sweeps: Sweeps;
  readonly drift: Drift;
  /** Brings everything that the kernel has queued by now into the coalescer. */
  readonly drain: () => void;
  readonly onAlert: (alert: Reported) => void;
}

/** Paths that are looked at and committed together. */
const sliceSize = 500;
const retryAfter = 1000;
/** How often a group is looked at again because of hints that came meanwhile. */
const mostRounds = 2;

/** Takes one group of hints after another from the coalescer to the commit, and hashes large files beside them. */
export class Reconciliation implements Disposable {
  readonly #context: AgentContext;
  readonly #helpers: Helpers;
  readonly #large: LargeFiles;
  /** The rest of the group that is being looked at. */
  #slices = new Slices([]);
  /** Paths that the last policy did not watch and that were there already. */
  adopted: readonly string[] = [];
  /** Counts commits, to detect one between a look and its own commit. */
  #commits = 0;

  constructor(context: AgentContext, helpers: Helpers) {
    this.#context = context;
    this.#helpers = helpers;
    this.#large = new LargeFiles(context.node.root, (paths, lane) =>
      this.#work({ paths, mounts: [] }, lane),
    );
  }

  /**
   * Compares everything with what was last seen. `offline`: changes were made while the agent was not running.
   * False: the agent must stop; the next start does it.
   */
  async firstSweep(how: { readonly offline: boolean }): Promise<boolean> {
    const { pool, signal } = this.#context;
    const close = (): void => pool[Symbol.dispose]();
    signal.addEventListener("abort", close, { once: true });
    try {
      if (signal.aborted) return false;
      return await this.#sweepFirst(how.offline);
    } catch (error) {
      if (isAbandoned(error, pool)) return false;
      throw error;
    } finally {
      signal.removeEventListener("abort", close);
    }
  }

  /** Runs until the coalescer ends and its hints are reconciled. */
  async run(): Promise<void> {
    await Promise.race([this.#handleAll(), this.#large.failed]);
    await Promise.race([this.#large.ended(), this.#large.failed]);
  }

  /** Gives up large files that still wait: the next start finds them. */
  [Symbol.dispose](): void {
    this.#large[Symbol.dispose]();
  }

  async #sweepFirst(offline: boolean): Promise<boolean> {
    const { node, pool, state, health, metrics } = this.#context;
    health.sweeping();
    await whenUnlocked(this.#context, () => this.#forgetUnwatched());
    const started = performance.now();
    const mounts = mountsSince(state, node);
    const { paths, unseen } = await differing({ node, pool, known: state.current }, state.current);
    if (unseen.length > 0)
      health.trouble("unreadable", `${unseen.length} paths cannot be read, ${unseen[0]?.path}`);
    const wasWatched = formerlyWatched(state, node);
    const news = paths.filter((path) => !wasWatched(path));
    await this.#adopt(news);
    const sight = { pool, view: this.#helpers.view };
    const mountPoints = mounts.map(({ mount }) => mount.path);
    await this.#reconcile({ paths: [], mounts, offline }, sight);
    const known = paths.filter(wasWatched).map(found);
    for (let from = 0; from < known.length; from += sliceSize) {
      const group = {
        paths: known.slice(from, from + sliceSize),
        mounts: [],
        mountPoints,
        offline,
      };
      await this.#reconcile(group, sight);
    }
    if (pool.isClosed) return false;
    await whenUnlocked(this.#context, () => rememberWatched(state, node));
    rememberMounts(state, node.root);
    metrics.sweep("full", (performance.now() - started) / 1000);
    return true;
  }

  async #handleAll(): Promise<void> {
    for await (const group of this.#context.coalescer) await this.#handle(group);
  }

  async #handle(group: HintGroup): Promise<void> {
    const hints = new Map<string, PathHints>(group.paths.map((one) => [one.path, one]));
    const mounts = group.others.filter(
      (one): one is MountHint => one.kind === "mounted" || one.kind === "unmounted",
    );
    const mountPoints = mounts.map(({ mount }) => mount.path);
    const trees = [...group.trees.map(({ path }) => path), ...mountPoints];
    for (const tree of trees)
      for await (const path of scan(tree, this.#helpers.view))
        if (!hints.has(path)) hints.set(path, found(path));
    const { batches, rest } = apart([...hints.values()], gaugeOf(this.#helpers.view));
    for (const batch of batches) this.#large.add(batch);
    let pendingMounts: readonly MountHint[] = mounts;
    this.#slices = new Slices(rest);
    while (!this.#slices.isEmpty || pendingMounts.length > 0) {
      const lane = { pool: this.#context.pool, limit: largeBytes };
      const paths = this.#slices.take(sliceSize);
      await this.#work({ paths, mounts: pendingMounts, mountPoints }, lane);
      pendingMounts = [];
    }
    if (mounts.length > 0) rememberMounts(this.#context.state, this.#context.node.root);
  }

  /** Hands files that are too large for this lane to the next one. */
  async #work(group: Omit<Group, "offline">, lane: Lane): Promise<void> {
    const hints = new Map(group.paths.map((one) => [one.path, one]));
    const left = new Map<string, Batch>();
    const view = viewIn(lane, this.#helpers.view, {
      isAwaited: (path) => !hints.has(path) && this.#large.holds(path),
      leave: (path, size, isReported) => {
        const hint = (isReported ? undefined : hints.get(path)) ?? found(path);
        left.set(path, { hints: [hint], names: new Set([path, ...hint.from]), size });
      },
    });
    await this.#reconcile({ ...group, offline: false }, { pool: lane.pool, view });
    for (const batch of left.values()) this.#large.add(batch);
  }

  /** Tries again until the disk takes it. The next start finds what a closed pool did not read. */
  async #reconcile(first: Group, { view, pool }: PathView): Promise<void> {
    const { health, signal } = this.#context;
    let group = first;
    for (let isStored = false; !isStored;) {
      const since = this.#commits;
      try {
        await reconcile(group, {
          view,
          now: Date.now,
          later: {
            // Reads what takes long only once.
            rounds: pool === this.#context.pool ? mostRounds : 0,
            ask: async (paths, use) => {
              // Nothing else here waits for I/O: without this the listener and the timers would starve in a storm.
              await turn();
              this.#helpers.drain();
              const news = this.#waitingAt(paths, use);
              if (use === "taken" && news.length > 0)
                group = { ...group, paths: [...joinHints([...group.paths, ...news]).values()] };
              return news;
            },
          },
          commit: (looks, changes) => {
            isStored = this.#commits === since || !this.#isOutdated(looks);
            if (isStored) this.#commit(looks, changes);
          },
        });
        health.over("state");
      } catch (error) {
        isStored = false;
        if (isAbandoned(error, pool)) return;
        if (!(error instanceof IntegrityError)) throw error;
        if (!isBusy(error)) health.trouble("state", error.message, error);
        if (signal.aborted) return;
        if (isBusy(error)) await untilUnlocked(this.#context);
        else await pause(retryAfter);
      }
    }
  }

  /** Hints of the present group are older than those in the coalescer. */
  #waitingAt(paths: readonly string[], use: "taken" | "noted"): readonly PathHints[] {
    const { coalescer } = this.#context;
    const own = use === "taken" ? this.#slices.takeAt(paths) : this.#slices.at(paths);
    return [...own, ...coalescer.waitingAt(paths, use)];
  }

  #commit(looks: readonly Look[], changes: readonly JudgedChange[]): void {
    const { committer, metrics } = this.#context;
    const { sweeps, drift, onAlert } = this.#helpers;
    const approvals = approvalsOf(looks, changes, (look) => drift.wasInOrder(look));
    const reported = committer.commit(looks, changes, approvals);
    this.#commits += 1;
    sweeps.learn(looks);
    drift.learn(looks);
    const now = Date.now();
    for (const one of changes) {
      metrics.change({ ...one, kind: one.change.kind });
      if (one.engine !== "sweep") metrics.alertLatency((now - one.at) / 1000);
      metrics.attribution(attributionOf(one.actor));
    }
    for (const one of reported) onAlert(one);
  }

  /** Whether another commit changed the state with which a look was compared. */
  #isOutdated(looks: readonly Look[]): boolean {
    const { known } = this.#helpers.view;
    return looks.some(({ path, before }) => {
      const now = known.get(path);
      return (now && rowOf(now)) !== (before && rowOf(before));
    });
  }

  /** Drops rows of paths that the policy no longer watches, without a report: nothing was deleted. */
  #forgetUnwatched(): void {
    const { state, node } = this.#context;
    const unwatched: string[] = [];
    for (const path of state.current.paths()) if (!node.index.find(path)) unwatched.push(path);
    if (unwatched.length === 0) return;
    transact(state.db, () => {
      for (const path of unwatched) state.current.delete(path);
    });
  }

  /** Adopts paths that the last policy did not watch: their presence is no change. */
  async #adopt(paths: readonly string[]): Promise<void> {
    if (paths.length === 0) return;
    const { view, sweeps, drift } = this.#helpers;
    const { committer } = this.#context;
    const hints = paths.map(found);
    for (let from = 0; from < hints.length; from += sliceSize) {
      const group = { paths: hints.slice(from, from + sliceSize), mounts: [], offline: true };
      const commit = (looks: Parameters<typeof sweeps.learn>[0]): void => {
        committer.commit(looks, []);
        sweeps.learn(looks);
        drift.learn(looks);
      };
      const adopt = () => reconcile(group, { view, now: Date.now, commit });
      await whenUnlocked(this.#context, adopt);
    }
    this.adopted = paths;
  }
}

function found(path: string): PathHints {
  return { path, steps: ["changed"], from: [], actors: [], lastAt: Date.now(), engine: "sweep" };
}

/** The agent stops and the file was not read to its end. */
function isAbandoned(error: unknown, pool: HashPool): boolean {
  return pool.isClosed && error instanceof IntegrityError && error.code === "ENGINE_FAILED";
}

/** How well the process behind a change is known. */
function attributionOf(actor: Actor | undefined): string {
  if (!actor) return "none";
  if (actor.candidates) return "candidates";
  return actor.exe === undefined ? "pid" : "full";
}
