import { setTimeout as pause } from "node:timers/promises";
import { isFreeStep } from "../core/change/judge.ts";
import { HashPool } from "../observe/hash/pool.ts";
import { systemClock } from "../watch/clock.ts";
import { Coalescer } from "../watch/coalesce.ts";
import { Engines } from "./engines.ts";
import { isAllowedWriter, isApprovedExecutable } from "../reconcile/approved/writer-identity.ts";
import { StaticPodPrograms } from "./static-pod-programs.ts";
import { maintenance } from "./maintenance.ts";
import { isReplaced } from "../node/node.ts";
import type { Node } from "../node/node.ts";
import { tickLength } from "../linux/clock.ts";
import { makeNodeView } from "../reconcile/full-sweep.ts";
import type { NodeView } from "../reconcile/look.ts";
import { Reconciliation } from "../reconcile/loop.ts";
import { reportUnapproved } from "./unapproved.ts";
import type { AgentContext } from "../reconcile/context.ts";
import { approvedAt } from "../reconcile/approved/approvals.ts";
import { Drift } from "../reconcile/approved/drift.ts";
import type { Reported } from "../reconcile/commit.ts";
import { Sweeps } from "../reconcile/sweeps.ts";

/** What all trees have in common that are watched one after another at the same root. */
export interface Watch {
  readonly shared: Omit<AgentContext, "node" | "coalescer" | "pool" | "signal">;
  readonly sinks: Readonly<Record<string, unknown>>;
  readonly onAlert: (alert: Reported) => void;
  /** Called when no change can be missed any more, for the first time. */
  readonly onReady: (facts: Readonly<Record<string, unknown>>) => void;
  readonly signal: AbortSignal;
}

/** Milliseconds in which queued hints are still reconciled at the end. The next start finds the rest. */
const lastLooks = 2000;

/** Watches one tree, from the first sweep until the agent stops or another tree is at the root. */
export async function watchTree(
  node: Node,
  watch: Watch,
  { isFirst }: { readonly isFirst: boolean },
): Promise<"stopped" | "replaced"> {
  using stack = new DisposableStack();
  const replaced = new AbortController();
  const context = contextOf(node, watch, { stack, replaced });
  const { health } = context;
  const { onAlert } = watch;
  const view = viewWith(context, () => engines);
  const sweeps = new Sweeps(context);
  const drift = new Drift(context.state, node.index);
  using reconciliation = new Reconciliation(context, {
    view,
    sweeps,
    drift,
    drain: () => engines.drain(),
    onAlert,
  });
  await using engines = new Engines(context, (change) =>
    health.record(() => {
      for (const one of context.committer.commit([], [change])) onAlert(one);
    }),
  );
  await engines.start();
  if (await reconciliation.firstSweep({ offline: isFirst })) {
    health.ready();
    if (isFirst) begin(context, watch, engines);
    health.over("root");
    const endApproved = reportUnapproved(context, reconciliation.adopted);
    const maintain = maintenance(context, { drift, onAlert });
    maintain();
    sweeps.start(
      () => !engines.isWhole,
      () => {
        if (isReplaced(node)) giveUp(context, replaced);
        else {
          engines.retry();
          endApproved();
          maintain();
        }
      },
    );
    await untilStopped(context, { reconciliation, sweeps, engines });
  }
  return replaced.signal.aborted ? "replaced" : "stopped";
}

interface Parts {
  readonly stack: DisposableStack;
  readonly replaced: AbortController;
}

function contextOf(
  node: Node,
  { shared, signal }: Watch,
  { stack, replaced }: Parts,
): AgentContext {
  const { state, metrics, health } = shared;
  const pool = stack.use(new HashPool({ root: node.root, workers: 2 }));
  const coalescer = stack.use(
    new Coalescer({
      isKnown: (path) => state.current.get(path) !== undefined,
      isIdle: ({ path, step }) => {
        const rule = node.index.find(path)?.rule;
        return rule !== undefined && isFreeStep(step, rule);
      },
      clock: systemClock,
      onOverflow: (engine, detail) => {
        metrics.overflow(engine);
        health.incident(`engine ${engine}`, `hints were given up for a sweep: ${detail}`);
      },
    }),
  );
  return {
    ...shared,
    node,
    coalescer,
    pool,
    signal: AbortSignal.any([signal, replaced.signal]),
  };
}

/** Reports the start of the agent. */
function begin(context: AgentContext, watch: Watch, engines: Engines): void {
  const { committer, health } = context;
  const { name: engine, attribution } = engines;
  const started = { engine, attribution, ...watch.sinks };
  health.record(() => committer.announce("started", started, "info"));
  watch.onReady({ engine, attribution });
}

/** Changes below a root that was moved away are no changes of the node. */
function giveUp({ node, health }: AgentContext, replaced: AbortController): void {
  health.trouble("root", `${node.root} was renamed, removed or mounted over: it is opened again`);
  health.sweeping();
  replaced.abort();
}

/** The node as reconcile sees it, with everything that is known of its processes. */
function viewWith(context: AgentContext, engines: () => Engines): NodeView {
  const { node, state, pool } = context;
  const programs = new StaticPodPrograms(context);
  return {
    ...makeNodeView(node, { known: state.current, pool }),
    approved: (path) => approvedAt(state, path),
    isApprovedExecutable: (actor) => isApprovedExecutable(actor, { node, state }),
    isAllowedWriter: (actor, writers) => isAllowedWriter(actor, writers, { node, state }),
    isInStaticPod: (actor) => programs.isInStaticPod(actor),
    learnPrograms: (actors) => programs.learn(actors),
    touches: { tick: tickLength(), touchesOf: (actor, inode) => engines().touchesOf(actor, inode) },
    makerOf: (made, directory) => engines().makerOf(made, directory),
  };
}

interface Loops {
  readonly reconciliation: Reconciliation;
  readonly sweeps: Sweeps;
  readonly engines: Engines;
}

/** Runs until the signal aborts, and a moment longer for the hints that came before. */
async function untilStopped(context: AgentContext, loops: Loops): Promise<void> {
  const { coalescer, pool, signal } = context;
  const { reconciliation, sweeps, engines } = loops;
  const stopped = reconciliation.run();
  await Promise.race([aborted(signal), stopped]);
  sweeps.stop();
  await engines.stop();
  coalescer.end();
  await Promise.race([stopped, pause(lastLooks, undefined, { ref: false })]);
  pool[Symbol.dispose]();
  reconciliation[Symbol.dispose]();
  await stopped;
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
