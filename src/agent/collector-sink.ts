import type { CollectorSettings } from "../deliver/collector/client.ts";
import { CollectorClient } from "../deliver/collector/client.ts";
import type { CollectorSink } from "../deliver/collector/report.ts";
import type { Settings } from "../config/settings.ts";
import type { Metrics } from "../health/metrics.ts";
import type { HealthStatus } from "../health/status.ts";
import type { Node } from "../node/node.ts";
import type { State } from "../node/state.ts";
import { readMeta, writeMeta } from "../sqlite/open.ts";
import type { Memory } from "../deliver/collector/witness.ts";
import { Witness } from "../deliver/collector/witness.ts";
import { collectorName, heartbeatMaker } from "./heartbeat.ts";

interface SinkSources extends Pick<CollectorSink, "wakeup" | "onAttempt" | "onFork" | "onLog"> {
  readonly node: Node;
  readonly state: State;
  readonly settings: Settings;
  readonly metrics: Metrics;
  readonly health: HealthStatus;
}

/** The address at which this state's node is enrolled. Unsigned memory: at worst the agent enrols again. */
const enrolledAt = "enrolled at";
const certificateOf = "certificate of the collector";
/** The trouble of a collector whose log does not go on from the one that is known. */
export const logTrouble = "collector's log";
const checkpointOf = "checkpoint of the collector";

/** The collector as a sink of this agent's outbox. */
export function makeCollectorSink(
  collector: CollectorSettings,
  sources: SinkSources,
): CollectorSink {
  const { state, settings, wakeup, onAttempt, onFork, onLog } = sources;
  const witness = collectorWitness(state);
  const { heartbeatEvery } = settings.watch;
  const { node, cluster } = settings;
  return {
    name: collectorName,
    queue: state.queue,
    client: new CollectorClient(
      collector,
      { witness, pin: memoryOf(state, certificateOf) },
      Date.now,
    ),
    wakeup,
    identity: () => ({ node, cluster, key: state.key }),
    heartbeat: heartbeatMaker({ ...sources, every: heartbeatEvery }),
    heartbeatEvery,
    enrolled: {
      get: () => readMeta(state.db, enrolledAt) === collector.url,
      set: (is) => writeMeta(state.db, enrolledAt, is ? collector.url : ""),
    },
    clock: Date.now,
    random: Math.random,
    onAttempt,
    onFork,
    onLog,
    witness,
  };
}

/** What this state remembers of the collector's log. */
export function collectorWitness(state: State): Witness {
  return new Witness(memoryOf(state, checkpointOf));
}

function memoryOf({ db }: State, key: string): Memory {
  return { get: () => readMeta(db, key), set: (text) => writeMeta(db, key, text) };
}
