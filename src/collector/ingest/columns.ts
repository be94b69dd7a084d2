import type { ChainRecord, ReadRecord } from "../../core/record/chain.ts";
import { fieldsOf, numberAt, textAt } from "../../core/record/fields.ts";
import type { Fields } from "../../core/record/fields.ts";
import { severities } from "../../core/policy/rule.ts";
import { present } from "../../core/present.ts";
import type { AlertColumns, NewRecord } from "../store/store.ts";

/** A verified record as it is stored. `received` stands for a time that the record does not give. */
export function toStored({ hash, record }: ReadRecord, received: number): NewRecord {
  return present({ hash, alert: columnsOf(record, { hash, received }) });
}

interface Context {
  readonly hash: string;
  readonly received: number;
}

/** The columns by which people find it. Undefined: nothing to look at. The body is the node's word: any shape. */
function columnsOf(record: ChainRecord, context: Context): AlertColumns | undefined {
  const body = fieldsOf(record.body);
  switch (record.kind) {
    case "alert":
    case "collector":
      return ofEvent(record.kind, body, context);
    case "agent":
      return body["event"] === "pruned"
        ? undefined
        : ofAgent(textAt(body, "event") ?? "unknown", body, context);
    case "baseline":
    case "dropped":
      return ofAgent(record.kind, body, context);
    case "genesis":
    case "approval":
    case "rekey":
      return undefined;
  }
}

function ofEvent(kind: "alert" | "collector", event: Fields, context: Context): AlertColumns {
  const fim = fieldsOf(fieldsOf(event["unmapped"])["fim"]);
  const pod = textAt(fim, "actor", "container", "pod");
  const change = bounded(textAt(fim, "change"), mostOfName);
  return present({
    uid: uidOf(textAt(event, "metadata", "uid"), context),
    type: kind === "collector" ? (textAt(fim, "type") ?? "") : `fim.alert.${change ?? "unknown"}`,
    severity: severities[(numberAt(event, "severity_id") ?? 0) - 1] ?? "critical",
    change,
    path: bounded(textAt(fim, "path")),
    rule: bounded(textAt(fim, "rule"), mostOfName),
    incident: bounded(textAt(fim, "incident")),
    program: bounded(textAt(fim, "actor", "exe")),
    pod: bounded(
      pod && `${textAt(fim, "actor", "container", "namespace") ?? ""}/${pod}`,
      mostOfName,
    ),
    at: timeOf(numberAt(event, "time"), context),
  });
}

function ofAgent(event: string, body: Fields, context: Context): AlertColumns {
  return {
    uid: uidOf(textAt(body, "uid"), context),
    type: `fim.agent.${bounded(event)}`,
    severity: severities.find((one) => one === textAt(body, "severity")) ?? "info",
    at: timeOf(Date.parse(textAt(body, "at") ?? ""), context),
  };
}

/** A UUID of ours, or the record's own hash. Too short for a hash: no record takes the id of another one. */
function uidOf(value: string | undefined, { hash }: Context): string {
  return value !== undefined && /^[\w-]{1,63}$/.test(value) ? value : hash;
}

function timeOf(value: number | undefined, { received }: Context): number {
  return value !== undefined && Number.isSafeInteger(value) && value >= 0 ? value : received;
}

const mostOfText = 8192;
/** An index of PostgreSQL holds it whole, in at most 2,704 bytes. A character takes up to three. */
const mostOfName = 512;

/** Bounded, because it goes into an index. */
function bounded<Text extends string | undefined>(text: Text, most = mostOfText): Text {
  return text?.slice(0, most) as Text;
}
