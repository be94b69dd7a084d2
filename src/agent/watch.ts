import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import type { FoldedChange, JudgedChange } from "../core/change/change.ts";
import { IntegrityError } from "../core/error.ts";
import { isFreeStep } from "../core/change/judge.ts";
import { lockFile } from "../linux/lock.ts";
import { HashPool } from "../observe/hash/pool.ts";
import { systemClock } from "../watch/clock.ts";
import { Coalescer } from "../watch/coalesce.ts";
import { Deliveries } from "./deliveries.ts";
import { Engines } from "./engines.ts";
import {
  isAllowedWriter,
  isApprovedExecutable,
  isInStaticPod,
} from "../reconcile/writer-identity.ts";
import { namesOf, readHostFacts } from "../node/host.ts";
import { maintenance } from "./maintenance.ts";
import { HealthServer } from "../health/server.ts";
import { Committer } from "../reconcile/commit.ts";
import { createMetrics } from "../health/metrics.ts";
import type { Metrics } from "../health/metrics.ts";
import type { Node } from "../node/node.ts";
import { tickLength } from "../linux/clock.ts";
import { makeNodeView } from "../reconcile/full-sweep.ts";
import type { NodeView } from "../reconcile/look.ts";
import { lacking, lossOf } from "./privileges.ts";
import { Reconciliation } from "../reconcile/loop.ts";
import { weakeningText, weakerThanSigned } from "./policy-difference.ts";
import type { Settings } from "../config/settings.ts";
import type { State } from "../node/state.ts";
import { waitBriefly } from "../sqlite/open.ts";
import type { AgentContext } from "../reconcile/context.ts";
import { Sweeps } from "../reconcile/sweeps.ts";
import { version } from "../node/version.ts";
import { HealthStatus } from "../health/status.ts";

export interface WatchOptions {
  readonly settings: Settings;
  readonly log: Logger;
  /** Called for each alert when it is queued. */
  readonly onAlert: (alert: JudgedChange | FoldedChange) => void;
  /** Called with the address of the listener when no change can be missed any more. */
  readonly onReady: (address: { readonly host: string; readonly port: number }) => void;
}

/** Milliseconds in which queued records may still be delivered when the agent stops. */
const lastDelivery = 2000;
/** Milliseconds in which queued hints are still reconciled then. The next start finds the rest. */
const lastLooks = 2000;
/** Weakenings of the policy that one event lists. */
const mostWeakenings = 100;

/** Watches until the signal aborts: hints, sweeps and deliveries, each in its own loop. */
export async function watchNode(
  node: Node,
  state: State,
  { options, signal }: { readonly options: WatchOptions; readonly signal: AbortSignal },
): Promise<void> {
  const { settings, log } = options;
  using stack = new DisposableStack();
  stack.use(lockFile(join(settings.state, "lock")));
  const metrics = createMetrics({ clock: Date.now, outbox: () => state.queue.backlog() });
  const committer = makeCommitter(node, state, settings);
  using health = new HealthStatus(committer.announce.bind(committer), log);
  await using deliveries = new Deliveries({ settings, state, log, metrics, health });
  await requireTrust({ state, committer, deliveries, metrics });
  waitBriefly(state.db);
  // A restart cannot end this, so /healthz must not ask for one.
  const loss = lossOf(lacking(settings.engine));
  if (loss !== undefined) health.incident("capabilities", loss);
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
  const shared = { node, state, settings, log, committer, metrics };
  const context: AgentContext = { ...shared, health, coalescer, pool, signal };
  await using server = await HealthServer.listen(settings.listen, {
    sick: () => health.sick(),
    degraded: () => health.degraded(),
    unready: () => health.unready(),
    metrics: () => metrics.text(),
  });
  await work(context, { deliveries, options, address: server.address });
  log.info("stopped");
}

interface Surroundings {
  readonly deliveries: Deliveries;
  readonly options: WatchOptions;
  readonly address: { readonly host: string; readonly port: number };
}

/** From the first sweep to the last delivery. */
async function work(context: AgentContext, around: Surroundings): Promise<void> {
  const { state, log, committer, health } = context;
  const { deliveries, options, address } = around;
  const onAlert = (alert: JudgedChange | FoldedChange): void => {
    options.onAlert(alert);
    deliveries.wake();
  };
  const view = viewWith(context, () => engines);
  const sweeps = new Sweeps(context);
  using reconciliation = new Reconciliation(context, {
    view,
    sweeps,
    drain: () => engines.drain(),
    onAlert,
  });
  await using engines = new Engines(context, (change) =>
    health.record(() => {
      for (const one of committer.commit([], [change])) onAlert(one);
    }),
  );
  await engines.start();
  if (await reconciliation.firstSweep()) {
    health.ready();
    const { name: engine, attribution } = engines;
    const started = { engine, attribution, ...deliveries.summary() };
    health.record(() => committer.announce("started", started, "info"));
    reportWeakerPolicy(context);
    deliveries.wake();
    options.onReady(address);
    log.info({ engine, attribution, paths: state.current.count(), ...address }, "ready");
    sweeps.start(() => engines.name !== "fanotify", maintenance(context, onAlert));
    await untilStopped(context, { reconciliation, sweeps, engines });
  }
  try {
    health.retell();
    for (const alert of committer.flush(0)) onAlert(alert);
    committer.announce("stopped", { reason: "asked to" }, "info");
  } catch (error) {
    // The counts stay in the database; the next start reports them.
    if (!(error instanceof IntegrityError)) throw error;
    log.error({ reason: error.message }, "the last records could not be stored");
  }
  await deliveries.finish(lastDelivery);
}

/** A policy that protects less than the signed one lets an attacker change files without an alert. */
function reportWeakerPolicy({ node, state, committer, health, log }: AgentContext): void {
  const weaker = weakerThanSigned(node, state, state.baseline.trust()).map(weakeningText);
  if (weaker.length === 0) return;
  const detail = { weaker: weaker.slice(0, mostWeakenings), count: weaker.length };
  health.record(() => committer.announce("policy", detail, "high"));
  health.mark("policy", `weaker than the signed one: ${weaker[0]}`);
  log.warn({ weaker: weaker.slice(0, mostWeakenings) }, "policy weaker than the signed one");
}

/** The node as reconcile sees it, with everything that is known of its processes. */
function viewWith({ node, state, pool }: AgentContext, engines: () => Engines): NodeView {
  return {
    ...makeNodeView(node, { known: state.current, pool }),
    isApprovedExecutable: (actor) => isApprovedExecutable(actor, { node, state }),
    isAllowedWriter: (actor, writers) => isAllowedWriter(actor, writers, { node, state }),
    isInStaticPod: (container) => isInStaticPod(container, { node, state }),
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

function makeCommitter(node: Node, state: State, settings: Settings): Committer {
  return new Committer({
    state,
    maxBytes: settings.outbox.maxBytes,
    now: Date.now,
    context: {
      node: settings.node,
      cluster: settings.cluster,
      get agentUid() {
        return state.key.id;
      },
      version,
      host: readHostFacts(node.root),
      policy: { name: node.policy.name, digest: node.policy.digest },
      names: namesOf(node.root),
    },
  });
}

interface Trusting {
  readonly state: State;
  readonly committer: Committer;
  readonly deliveries: Deliveries;
  readonly metrics: Metrics;
}

/** A missing or untrusted baseline is an alert and a refusal. */
async function requireTrust({ state, committer, deliveries, metrics }: Trusting): Promise<void> {
  try {
    const statement = state.baseline.trust();
    metrics.baselineGeneration(statement.counter);
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    committer.announce("degraded", { reason: error.message, code: error.code }, "critical");
    deliveries.wake();
    await deliveries.finish(lastDelivery);
    throw error;
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
