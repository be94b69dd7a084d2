import { join } from "node:path";
import type { Logger } from "pino";
import { IntegrityError } from "../core/error.ts";
import { lockFile } from "../linux/lock.ts";
import { Deliveries } from "./deliveries.ts";
import { namesOf, readHostFacts } from "../node/host.ts";
import { HealthServer } from "../health/server.ts";
import { Committer } from "../reconcile/commit.ts";
import type { Reported } from "../reconcile/commit.ts";
import { createMetrics } from "../health/metrics.ts";
import type { Metrics } from "../health/metrics.ts";
import { isReplaced, openNode } from "../node/node.ts";
import type { Node } from "../node/node.ts";
import { lacking, lossOf } from "./privileges.ts";
import type { Settings } from "../config/settings.ts";
import type { State } from "../node/state.ts";
import { waitBriefly } from "../sqlite/open.ts";
import { version } from "../node/version.ts";
import { HealthStatus } from "../health/status.ts";
import { setTimeout as pause } from "node:timers/promises";
import { watchTree } from "./watch-tree.ts";
import type { Watch } from "./watch-tree.ts";

export interface WatchOptions {
  readonly settings: Settings;
  readonly log: Logger;
  /** Called for each alert when it is queued. */
  readonly onAlert: (alert: Reported) => void;
  /** Called with the address of the listener when no change can be missed any more. */
  readonly onReady: (address: { readonly host: string; readonly port: number }) => void;
}

/** Milliseconds in which queued records may still be delivered when the agent stops. */
const lastDelivery = 2000;
/** Milliseconds between two attempts to open a root that is gone. */
const lookForRootEvery = 1000;

/** Watches until the signal aborts: hints, sweeps and deliveries, each in its own loop. */
export async function watchNode(
  node: Node,
  state: State,
  { options, signal }: { readonly options: WatchOptions; readonly signal: AbortSignal },
): Promise<void> {
  const { settings, log } = options;
  using _ = lockFile(join(settings.state, "lock"));
  const metrics = createMetrics({ clock: Date.now, outbox: () => state.queue.backlog() });
  const committer = makeCommitter(node, state, settings);
  using health = new HealthStatus(committer.announce.bind(committer), log);
  await using deliveries = new Deliveries({ node, settings, state, log, metrics, health });
  await requireTrust({ state, committer, deliveries, metrics });
  waitBriefly(state.db);
  // A restart cannot end this, so /healthz must not ask for one.
  const loss = lossOf(lacking(settings.engine));
  if (loss !== undefined) health.trouble("capabilities", loss);
  await using server = await HealthServer.listen(settings.listen, {
    sick: () => health.sick(),
    degraded: () => health.degraded(),
    unready: () => health.unready(),
    metrics: () => metrics.text(),
  });
  const onAlert = (alert: Reported): void => {
    options.onAlert(alert);
    deliveries.wake();
  };
  const shared = { state, settings, log, committer, metrics, health };
  await watchTrees(node, {
    shared,
    onAlert,
    signal,
    sinks: deliveries.summary(),
    onReady: (facts) => {
      deliveries.wake();
      options.onReady(server.address);
      log.info({ ...facts, paths: state.current.count(), ...server.address }, "ready");
    },
  });
  leave(shared, onAlert);
  await deliveries.finish(lastDelivery);
  log.info("stopped");
}

/** Watches the tree at the root; when another one takes its place, that one. */
async function watchTrees(first: Node, watch: Watch): Promise<void> {
  let end = await watchTree(first, watch, { isFirst: true });
  while (end === "replaced") {
    using next = await openAgain(first, watch);
    if (!next) return;
    end = await watchTree(next, watch, { isFirst: false });
  }
}

/** Waits until there is a tree at the root. Undefined: the agent stops. */
async function openAgain(first: Node, { shared, signal }: Watch): Promise<Node | undefined> {
  const { settings, health } = shared;
  for (;;) {
    if (signal.aborted) return undefined;
    try {
      const node = await openNode(settings, first.policy);
      if (!isReplaced(node)) return node;
      node[Symbol.dispose]();
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      health.trouble("root", error.message);
    }
    await pause(lookForRootEvery, undefined, { signal }).catch(() => undefined);
  }
}

/** Stores what is left to be said. */
function leave(
  { committer, health, log }: Watch["shared"],
  onAlert: (alert: Reported) => void,
): void {
  try {
    health.retell();
    for (const alert of committer.flush(0)) onAlert(alert);
    committer.announce("stopped", { reason: "asked to" }, "info");
  } catch (error) {
    // The counts stay in the database; the next start reports them.
    if (!(error instanceof IntegrityError)) throw error;
    log.error({ reason: error.message }, "the last records could not be stored");
  }
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
