import { severities } from "../core/policy/rule.ts";
import type { Severity } from "../core/policy/rule.ts";
import type { Heartbeat } from "../core/record/heartbeat.ts";
import { present } from "../core/present.ts";
import { fieldsOf, numberAt, textAt } from "../core/record/fields.ts";
import type { StoredNode } from "./store/store.ts";

/** Milliseconds between heartbeats while none has said how many. */
const usualInterval = 30_000;
/** Intervals without a heartbeat after which a node is silent. */
const silentIntervals = 3;

export const nodeStates = ["well", "silent", "degraded"] as const;
type NodeState = (typeof nodeStates)[number];

interface Lasting {
  readonly node: number;
  readonly what: string;
  readonly since: number;
}

/** A node as people see it. */
interface NodeView {
  readonly cluster: string;
  readonly node: string;
  readonly state: NodeState;
  /** Why it is not well. */
  readonly reasons: readonly string[];
  /** RFC 3339 */
  readonly enrolled: string;
  readonly lastHeard: string;
  readonly key: string;
  readonly chain?: string;
  readonly version?: string;
  readonly engine?: string;
  readonly attribution?: string;
  readonly watched?: number;
  /** `at`: when it was signed, if the record of it has arrived. */
  readonly baseline?: Heartbeat["baseline"] & { readonly at?: string };
  readonly policy?: Heartbeat["policy"];
  readonly drift?: Heartbeat["drift"];
  readonly outbox?: Heartbeat["waiting"];
  /** Seconds by which the node's clock is ahead of the collector's. */
  readonly clockAhead?: number;
}

export function lastHeartbeat({ heartbeat }: StoredNode): Heartbeat | undefined {
  return heartbeat === undefined ? undefined : (JSON.parse(heartbeat) as Heartbeat);
}

/** Milliseconds without a sign of the node after which it is silent. */
export function silentAfter(node: StoredNode): number {
  return (lastHeartbeat(node)?.every ?? usualInterval) * silentIntervals;
}

/** A node and its state. Times are milliseconds since 1970. */
export function stateOf(node: StoredNode, alarms: readonly Lasting[], now: number): NodeView {
  const heartbeat = lastHeartbeat(node);
  const own = alarms.filter((one) => one.node === node.id);
  const isSilent =
    own.some(({ what }) => what === "silent") || now - node.heard > silentAfter(node);
  const reasons = [
    ...(isSilent ? [`silent since ${new Date(node.heard).toISOString()}`] : []),
    ...own.filter(({ what }) => what !== "silent").map(({ what }) => what),
    ...(heartbeat?.degraded ?? []),
  ];
  return present({
    cluster: node.cluster,
    node: node.node,
    state: isSilent ? "silent" : reasons.length > 0 ? "degraded" : "well",
    reasons,
    enrolled: new Date(node.enrolled).toISOString(),
    lastHeard: new Date(node.heard).toISOString(),
    key: node.keyId,
    chain: node.chain,
    version: heartbeat?.version,
    engine: heartbeat?.engine,
    attribution: heartbeat?.attribution,
    watched: heartbeat?.watched,
    baseline: heartbeat && present({ ...heartbeat.baseline, at: signedAt(node, heartbeat) }),
    policy: heartbeat?.policy,
    drift: heartbeat && driftOf(heartbeat),
    outbox: heartbeat?.waiting,
    clockAhead: heartbeat && Math.round((Date.parse(heartbeat.at) - node.heard) / 1000),
  } as const);
}

/** When the baseline that the heartbeat names was signed. */
function signedAt({ baseline }: StoredNode, heartbeat: Heartbeat): string | undefined {
  if (baseline === undefined) return undefined;
  const record = fieldsOf(JSON.parse(baseline));
  const isSame = numberAt(record, "counter") === heartbeat.baseline.counter;
  return isSame ? textAt(record, "at") : undefined;
}

function driftOf({ drift }: Heartbeat): Readonly<Record<Severity, number>> {
  return Object.fromEntries(severities.map((one) => [one, drift[one] ?? 0])) as Readonly<
    Record<Severity, number>
  >;
}
