import type { Change, ChangeKind, Field, FoldedChange, JudgedChange } from "../change/change.ts";
import type { Step } from "../change/hint.ts";
import { toSentence } from "../text/change-text.ts";
import { toAttack } from "./attack.ts";
import { ocsfVersion, profiles } from "./ocsf.ts";
import type { OcsfDevice, OcsfEvent, OcsfMetadata } from "./ocsf.ts";
import { printable } from "../path.ts";
import { present, wellFormed } from "../present.ts";
import type { Severity } from "../policy/rule.ts";
import { isFolded, isoTime, showChange } from "../text/change-json.ts";
import { dashedUuid, integer, observablesOf, subjectsOf, toActor } from "./ocsf-subject.ts";
import type { Names } from "./ocsf-subject.ts";

/** Facts about the machine; unknown ones are absent. */
export interface HostFacts {
  readonly hostname?: string;
  /** PRETTY_NAME or NAME of os-release(5). */
  readonly osName?: string;
  readonly osVersion?: string;
  readonly kernel?: string;
  /** machine-id(5) */
  readonly machineId?: string;
  /** /proc/sys/kernel/random/boot_id */
  readonly bootId?: string;
}

/** The context of an event beyond its change. */
export interface EventContext {
  /** A version 7 UUID, one for each event. */
  readonly uid: string;
  /** Of the record that carries the event. */
  readonly sequence: number;
  readonly node: string;
  readonly cluster: string;
  /** The agent's key id. */
  readonly agentUid: string;
  /** The agent's version. */
  readonly version: string;
  readonly host: HostFacts;
  /** Milliseconds since 1970: when the event is written. */
  readonly now: number;
  readonly policy: { readonly name: string; readonly digest: string };
  readonly names: Names;
}

/** A judged change as the alert that is signed and sent: an OCSF event of class 1001. */
export function toEvent(judged: JudgedChange | FoldedChange, context: EventContext): OcsfEvent {
  const activity = activityOf(judged.change);
  const severity = severityOf(judged.severity);
  const time = Math.floor(judged.at);
  const actor = toActor(judged.actor, context.names);
  const subjects = subjectsOf(judged.change, context.names);
  const device = deviceOf(context);
  const isUnexpected = judged.verdict === "unexpected";
  return wellFormed<OcsfEvent>({
    category_uid: 1,
    category_name: "System Activity",
    class_uid: 1001,
    class_name: "File System Activity",
    activity_id: activity.id,
    activity_name: activity.name,
    type_uid: 100100 + activity.id,
    type_name: `File System Activity: ${activity.name}`,
    severity_id: severity.id,
    severity: severity.name,
    time,
    time_dt: isoTime(time),
    timezone_offset: 0,
    ...(isFolded(judged) ? spanOf(judged) : {}),
    status_id: 1,
    status: "Success",
    message: `${printable(context.node)}: ${toSentence(judged)}`,
    action_id: 3,
    action: "Observed",
    disposition_id: isUnexpected ? 19 : 8,
    disposition: isUnexpected ? "Alert" : "Approved",
    is_alert: isUnexpected,
    metadata: metadataOf(judged, context),
    device,
    actor,
    ...subjects,
    policy: {
      name: context.policy.name,
      uid: context.policy.digest,
      desc: judged.why,
      is_applied: true,
    },
    ...(judged.attack.length > 0 ? { attacks: judged.attack.map(toAttack) } : {}),
    observables: observablesOf(device.hostname, actor, subjects),
    unmapped: { fim: showChange(judged) },
  });
}

interface Activity {
  readonly id: number;
  readonly name: string;
}

const create = { id: 1, name: "Create" };
const update = { id: 3, name: "Update" };
const remove = { id: 4, name: "Delete" };
const rename = { id: 5, name: "Rename" };
const setAttributes = { id: 6, name: "Set Attributes" };
const setSecurity = { id: 7, name: "Set Security" };

function activityOf(change: Change): Activity {
  switch (change.kind) {
    case "created":
      return create;
    case "deleted":
      return remove;
    case "renamed":
      return rename;
    case "modified":
      return mostSevere(change.fields);
    case "transient":
      return change.steps[0] === undefined ? other(change.kind) : activityOfStep(change.steps[0]);
    case "mounted":
      return { id: 12, name: "Mount" };
    case "unmounted":
      return { id: 13, name: "Unmount" };
    case "unreadable":
      return other(change.kind);
  }
}

/** OCSF asks for the source's own word where its list has none. */
function other(kind: ChangeKind): Activity {
  return { id: 99, name: kind };
}

const activityOfField = {
  content: update,
  type: update,
  target: update,
  mode: setSecurity,
  owner: setSecurity,
  group: setSecurity,
  acl: setSecurity,
  capabilities: setSecurity,
  selinux: setSecurity,
  xattr: setAttributes,
  flags: setAttributes,
  links: setAttributes,
  inode: setAttributes,
  mtime: setAttributes,
} as const satisfies Record<Field, Activity>;

function mostSevere(fields: readonly Field[]): Activity {
  const all = fields.map((field) => activityOfField[field]);
  return [update, setSecurity].find((activity) => all.includes(activity)) ?? setAttributes;
}

function activityOfStep(step: Step): Activity {
  switch (step) {
    case "created":
      return create;
    case "deleted":
      return remove;
    case "renamed":
      return rename;
    case "modified":
    case "closed":
    case "changed":
      return update;
    case "attributes":
    case "linked":
      return setAttributes;
  }
}

const severityNames = {
  info: { id: 1, name: "Informational" },
  low: { id: 2, name: "Low" },
  medium: { id: 3, name: "Medium" },
  high: { id: 4, name: "High" },
  critical: { id: 5, name: "Critical" },
} as const satisfies Record<Severity, { id: number; name: string }>;

function severityOf(severity: Severity) {
  return severityNames[severity];
}

function spanOf(folded: FoldedChange) {
  return {
    count: folded.count,
    start_time: Math.floor(folded.since),
    end_time: Math.floor(folded.at),
  };
}

const product = "fim-agent";

function metadataOf(judged: JudgedChange, context: EventContext): OcsfMetadata {
  return present({
    version: ocsfVersion,
    uid: context.uid,
    correlation_uid: judged.incident,
    sequence: integer(context.sequence),
    event_code: judged.rule,
    log_name: "fim",
    log_provider: judged.engine,
    original_time: isoTime(judged.at),
    logged_time: Math.floor(context.now),
    logged_time_dt: isoTime(context.now),
    tenant_uid: context.cluster,
    profiles,
    product: { name: product, uid: product, version: context.version },
    extensions: [{ name: "linux", uid: "1", version: ocsfVersion }],
    reporter: {
      name: product,
      uid: context.agentUid,
      hostname: context.host.hostname ?? context.node,
    },
    tags: [
      { name: "k8s.cluster.name", value: context.cluster },
      { name: "k8s.node.name", value: context.node },
    ],
  } as const);
}

function deviceOf(context: EventContext): OcsfDevice {
  const { host } = context;
  return present({
    type_id: 1,
    type: "Server",
    hostname: host.hostname ?? context.node,
    name: context.node,
    os_machine_uuid: host.machineId === undefined ? undefined : dashedUuid(host.machineId),
    boot_uid: host.bootId,
    os: present({
      name: host.osName ?? "Linux",
      type: "Linux",
      type_id: 200,
      version: host.osVersion,
      kernel_release: host.kernel,
    } as const),
    agent_list: [{ name: product, uid: context.agentUid, version: context.version }],
  } as const);
}
