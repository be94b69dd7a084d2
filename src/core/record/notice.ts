import type { Buffer } from "node:buffer";
import { IntegrityError } from "../error.ts";
import { harmless } from "../path.ts";
import { severities } from "../policy/rule.ts";
import type { Severity } from "../policy/rule.ts";
import { hashRecord, parseRecord } from "./chain.ts";
import type { ChainRecord } from "./chain.ts";
import { fieldsOf, listAt, numberAt, textAt } from "./fields.ts";
import type { Fields } from "./fields.ts";

/** A record as sinks report it. Its texts are printable; whatever lies in `body` is hostile. */
export interface Notice {
  /** The same on every attempt, so that a receiver can drop duplicates. */
  readonly id: string;
  /** "fim.alert.modified", "fim.agent.degraded" */
  readonly type: string;
  /** The change of a file, an alarm of a collector about a node, or an event of an agent. */
  readonly kind: "change" | "alarm" | "event";
  /** When the record was written, as it says. */
  readonly at: string;
  /** When it happened, milliseconds since 1970. */
  readonly time: number;
  readonly cluster: string;
  readonly node: string;
  readonly severity: Severity;
  /** One line. */
  readonly message: string;
  /** Of an alert. */
  readonly rule?: string;
  /** Names what lasts on the node until a notice of the same name that `isOver`. */
  readonly trouble?: string;
  readonly isOver?: true;
  /** ATT&CK ids: "T1610", "T1574.006". */
  readonly attack: readonly string[];
  /** The record's body. */
  readonly body: Fields;
  /** The record as it was signed. */
  readonly bytes: Buffer;
}

/** Record -> its notice. Undefined: no sink carries this kind. */
export function readNotice(bytes: Buffer): Notice | undefined {
  const record = parseRecord(bytes);
  if (!record) {
    throw new IntegrityError("CHAIN_BROKEN", "outbox: expected a chain record, found other bytes", {
      hint: "the database was altered or damaged; look with: fim-agent verify",
    });
  }
  const body = fieldsOf(record.body);
  switch (record.kind) {
    case "alert":
      return alertNotice(record, body, bytes);
    case "agent":
      return eventNotice(textAt(body, "event") ?? "", record, bytes);
    case "baseline":
    case "dropped":
      return eventNotice(record.kind, record, bytes);
    case "collector":
      return findingNotice(record, body, bytes);
    case "approval":
    case "genesis":
    case "rekey":
      return undefined;
  }
}

function alertNotice(record: ChainRecord, body: Fields, bytes: Buffer): Notice {
  const change = textAt(body, "unmapped", "fim", "change") ?? "unknown";
  const rule = textAt(body, "metadata", "event_code");
  const place = placeOf(record);
  return {
    id: idOf(textAt(body, "metadata", "uid")) ?? hashRecord(bytes),
    type: `fim.alert.${harmless(change)}`,
    kind: "change",
    at: record.at,
    time: timeOf(record, numberAt(body, "time")),
    ...place,
    // An alert without a known severity is not passed over.
    severity: severities[(numberAt(body, "severity_id") ?? 0) - 1] ?? "critical",
    message: harmless(textAt(body, "message") ?? `${place.node}: ${change}`),
    ...(rule !== undefined && { rule: harmless(rule) }),
    attack: listAt(body, "attacks").flatMap(attackId),
    body,
    bytes,
  };
}

/** An alarm of a collector is about a node, and in a chain of the collector. */
function findingNotice(record: ChainRecord, body: Fields, bytes: Buffer): Notice {
  const fim = fieldsOf(fieldsOf(body["unmapped"])["fim"]);
  const [cluster = "", node = ""] = [textAt(fim, "cluster"), textAt(fim, "node")];
  const event = textAt(fim, "event") ?? "unknown";
  return {
    ...alertNotice(record, body, bytes),
    kind: "alarm",
    type: `fim.collector.${harmless(event)}`,
    cluster: harmless(cluster),
    node: harmless(node),
    ...alarmTrouble(event, fim),
  };
}

function alarmTrouble(event: string, fim: Fields): Pick<Notice, "trouble" | "isOver"> {
  if (event === "silent") return { trouble: "silent" };
  if (event === "heard") return { trouble: "silent", isOver: true };
  const trouble = `delivery ${harmless(textAt(fim, "sink") ?? "")}`;
  if (event === "undelivered") return { trouble };
  return event === "delivered" ? { trouble, isOver: true } : {};
}

/** Agent events that sinks carry. Heartbeats go to the collector alone. */
const carried = new Set([
  "started",
  "stopped",
  "degraded",
  "recovered",
  "baseline",
  "dropped",
  "policy",
  "test",
]);

function eventNotice(event: string, record: ChainRecord, bytes: Buffer): Notice | undefined {
  if (!carried.has(event)) return undefined;
  const body = fieldsOf(record.body);
  const place = placeOf(record);
  return {
    id: idOf(textAt(body, "uid")) ?? hashRecord(bytes),
    type: `fim.agent.${event}`,
    kind: "event",
    at: record.at,
    time: timeOf(record),
    ...place,
    severity: severities.find((one) => one === textAt(body, "severity")) ?? defaultSeverity(event),
    message: eventMessage(place.node, event, body),
    ...troubleOf(event, body),
    attack: [],
    body,
    bytes,
  };
}

function troubleOf(event: string, body: Fields): Pick<Notice, "trouble" | "isOver"> {
  const trouble = textAt(body, "trouble");
  if (trouble === undefined) return {};
  if (event === "recovered") return { trouble: harmless(trouble), isOver: true };
  return event === "degraded" ? { trouble: harmless(trouble) } : {};
}

function defaultSeverity(event: string): Severity {
  return event === "dropped" || event === "degraded" ? "high" : "info";
}

function eventMessage(node: string, event: string, body: Fields): string {
  const about = textAt(body, "trouble") ?? textAt(body, "what");
  const detail = [about, textAt(body, "reason")].filter((text) => text !== undefined);
  const text = `${node}: agent ${event}${detail.length > 0 ? `, ${detail.join(": ")}` : ""}`;
  return harmless(text);
}

/** A chain is "<cluster>/<node>/<epoch>"; a collector has verified that this is the node. */
function placeOf({ chain }: ChainRecord): { readonly cluster: string; readonly node: string } {
  const [cluster = "", node = ""] = chain.split("/");
  return { cluster: harmless(cluster), node: harmless(node) };
}

/** The last millisecond that 64 bits of nanoseconds hold (OTLP). RFC 3339 ends with the year 9999. */
const lastTime = 18_446_744_073_709;

function timeOf({ at }: ChainRecord, given?: number): number {
  const known = [given, Date.parse(at)].find(
    (time) => time !== undefined && time >= 0 && time <= lastTime,
  );
  return Math.floor(known ?? 0);
}

/** A webhook's signature forbids "." in an id; ours are UUIDs. */
function idOf(value: string | undefined): string | undefined {
  return value !== undefined && /^[\w-]{1,128}$/.test(value) ? value : undefined;
}

function attackId(attack: unknown): readonly string[] {
  const id =
    textAt(attack, "sub_technique", "uid") ??
    textAt(attack, "technique", "uid") ??
    textAt(attack, "tactic", "uid");
  return id !== undefined && /^TA?\d{4}(?:\.\d{3})?$/.test(id) ? [id] : [];
}
