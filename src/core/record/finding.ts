import { isoTime } from "../text/change-json.ts";
import { printable } from "../path.ts";
import { severities } from "../policy/rule.ts";
import type { Severity } from "../policy/rule.ts";
import { wellFormed } from "../present.ts";
import { ocsfVersion } from "./ocsf.ts";

/** What the collector itself reports of a node. */
const alarmKinds = [
  "silent",
  "heard",
  "gap",
  "fork",
  "rollback",
  "rekeyed",
  "outlier",
  "rejected",
  "altered",
  "expired",
  "undelivered",
  "delivered",
] as const;
export type AlarmKind = (typeof alarmKinds)[number];

export interface Alarm {
  readonly kind: AlarmKind;
  readonly cluster: string;
  readonly node: string;
  readonly severity: Severity;
  /** A sentence: what was seen, and what was expected. */
  readonly reason: string;
  /** More facts, by name. Hold no secret. */
  readonly detail?: Readonly<Record<string, unknown>>;
}

interface FindingContext {
  /** A version 7 UUID. */
  readonly uid: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly version: string;
  /** The collector's name. */
  readonly collector: string;
}

const titles: Readonly<Record<AlarmKind, string>> = {
  silent: "Agent is silent",
  heard: "Agent is heard again",
  gap: "Records are missing",
  fork: "Two histories of one node",
  rollback: "State was rolled back",
  rekeyed: "Node has a new key",
  outlier: "Node differs from its cluster",
  rejected: "Records were refused",
  altered: "The collector's store was altered",
  expired: "Old records are deleted",
  undelivered: "A sink takes nothing",
  delivered: "A sink takes records again",
};

const severityNames = ["Informational", "Low", "Medium", "High", "Critical"] as const;

/** An alarm as an OCSF 1.8.0 event of class 2004, Detection Finding. */
export function toFinding(
  alarm: Alarm,
  context: FindingContext,
): Readonly<Record<string, unknown>> {
  const { kind, cluster, node, severity, reason, detail = {} } = alarm;
  const type = `fim.collector.${kind}`;
  const rank = severities.indexOf(severity);
  const product = "fim-collector";
  return wellFormed({
    category_uid: 2,
    category_name: "Findings",
    class_uid: 2004,
    class_name: "Detection Finding",
    activity_id: 1,
    activity_name: "Create",
    type_uid: 200401,
    type_name: "Detection Finding: Create",
    severity_id: rank + 1,
    severity: severityNames[rank],
    time: context.now,
    time_dt: isoTime(context.now),
    status_id: 1,
    status: "New",
    message: `${printable(node)}: ${printable(reason)}`,
    is_alert: rank > 0,
    finding_info: { uid: context.uid, title: titles[kind], desc: reason, types: [type] },
    metadata: {
      version: ocsfVersion,
      uid: context.uid,
      event_code: type,
      log_name: "fim",
      logged_time: context.now,
      tenant_uid: cluster,
      product: { name: product, uid: product, version: context.version },
      reporter: { name: product, hostname: context.collector },
      tags: [
        { name: "k8s.cluster.name", value: cluster },
        { name: "k8s.node.name", value: node },
      ],
    },
    device: { type_id: 1, type: "Server", hostname: node, name: node },
    unmapped: { fim: { type, event: kind, cluster, node, severity, reason, ...detail } },
  });
}
