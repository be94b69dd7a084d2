import { etcdMarks, etcdMember } from "../core/record/etcd.ts";
import { sealHeartbeat } from "../core/record/heartbeat.ts";
import type { Node } from "../node/node.ts";
import { sharedFactsOf } from "./shared-facts.ts";
import { readHostFacts } from "../node/host.ts";
import type { State } from "../node/state.ts";
import { version } from "../node/version.ts";
import type { Metrics } from "../health/metrics.ts";
import type { HealthStatus } from "../health/status.ts";

interface HeartbeatSources {
  readonly node: Node;
  readonly state: State;
  readonly metrics: Metrics;
  readonly health: HealthStatus;
  /** Milliseconds between heartbeats. */
  readonly every: number;
}

/** The sink's name in the outbox and in metrics. */
export const collectorName = "collector";
const mostTroubles = 100;

/** Makes the line of a signed heartbeat with a nonce of the collector. */
export function heartbeatMaker(sources: HeartbeatSources): (nonce: string) => Buffer {
  const { node, state, metrics, health, every } = sources;
  const { bootId } = readHostFacts(node.root);
  const { name, digest } = node.policy;
  const sharedFacts = sharedFactsOf(node.root);
  return (nonce) => {
    const { seq, hash } = state.outbox.head();
    const statement = state.baseline.signed();
    const etcd = etcdMarks(state.current.paths(etcdMember));
    const envelope = sealHeartbeat(
      {
        v: 1,
        chain: state.outbox.chain,
        seq,
        head: hash,
        at: new Date().toISOString(),
        nonce,
        every,
        version,
        ...(bootId !== undefined && { boot: bootId }),
        baseline: {
          counter: statement?.counter ?? 0,
          digest: statement?.digest ?? "",
          rows: statement?.rows ?? 0,
        },
        policy: { name, digest },
        ...metrics.latest(),
        shared: sharedFacts(state.current),
        ...(etcd && { etcd }),
        degraded: [...health.degraded(), ...health.unready()].slice(0, mostTroubles),
        waiting: state.queue.pending(collectorName),
      },
      state.key.privateKey,
    );
    return Buffer.from(`${JSON.stringify(envelope)}\n`);
  };
}
