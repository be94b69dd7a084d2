import { createHash } from "node:crypto";
import { attackText } from "../../core/record/attack.ts";
import { fieldsOf, listAt, numberAt, textAt } from "../../core/record/fields.ts";
import type { Notice } from "../../core/record/notice.ts";
import { harmless } from "../../core/path.ts";
import { present } from "../../core/present.ts";
import { isoTime } from "../../core/text/change-json.ts";
import { json, refusing } from "../format.ts";
import type { Format, FormatContext } from "../format.ts";
import { parseJson, reason } from "./answer.ts";
import { fit, reasonOf } from "./text.ts";

/** developer.pagerduty.com/docs/send-alert-event: characters. An event holds at most 512 KB. */
const mostSummary = 1024;
const mostDetail = 4000;
const mostKey = 255;

/** PagerDuty's Events API v2. The changes of one procedure make one incident. */
export const pagerduty: Format = {
  maxPerPost: 1,
  isForPeople: true,
  readsBody: true,
  message([notice], context) {
    if (!notice) throw new Error("PagerDuty takes one event at a time");
    const body = notice.isOver ? endOf(notice, context) : triggerOf(notice, context);
    return { headers: json, body: Buffer.from(JSON.stringify(body)) };
  },
  outcome(answer, sent) {
    const outcome = refusing(answer, sent);
    const why = reason(
      `status ${answer.status}`,
      ...listAt(parseJson(answer), "errors").map(String),
    );
    // A wrong key is answered with 400 too, and is for a person to repair.
    if (outcome.kind === "refused") return { kind: isOfKey(why) ? "rejected" : "refused", why };
    return outcome;
  },
};

function isOfKey(why: string): boolean {
  return /routing[ _]key/i.test(why);
}

function endOf(notice: Notice, { secret }: FormatContext) {
  return { routing_key: secret.token, event_action: "resolve", dedup_key: keyOf(notice) };
}

const severities = {
  info: "info",
  low: "info",
  medium: "warning",
  high: "error",
  critical: "critical",
} as const;

function triggerOf(notice: Notice, { secret, link }: FormatContext) {
  const href = link(notice);
  return {
    routing_key: secret.token,
    event_action: "trigger",
    dedup_key: keyOf(notice),
    client: "fim-agent",
    ...(href !== undefined && { client_url: href, links: [{ href, text: "Show the alert" }] }),
    payload: present({
      summary: fit(notice.message, mostSummary),
      source: fit(notice.node, mostKey) || "unknown",
      severity: severities[notice.severity],
      timestamp: isoTime(notice.time),
      component: "fim-agent",
      group: notice.cluster,
      class: notice.rule ?? notice.type,
      custom_details: detailsOf(notice),
    }),
  };
}

/** The same for each attempt, for the changes of one procedure, and for the beginning and end of one trouble. */
function keyOf({ cluster, node, id, trouble, body }: Notice): string {
  const about = trouble ?? textAt(body, "unmapped", "fim", "incident") ?? id;
  const key = `${cluster}/${node}/${about}`;
  return key.length <= mostKey ? key : createHash("sha256").update(key).digest("hex");
}

function detailsOf(notice: Notice) {
  const { body, attack } = notice;
  const fim = fieldsOf(fieldsOf(body["unmapped"])["fim"]);
  const meaning = listAt(fim, "meaning").filter((one) => typeof one === "string");
  return present({
    id: notice.id,
    type: notice.type,
    cluster: notice.cluster,
    node: notice.node,
    severity: notice.severity,
    rule: notice.rule,
    techniques: attack.length === 0 ? undefined : attack.map(attackText).join("; "),
    path: shown(textAt(fim, "path")),
    meaning: meaning.length === 0 ? undefined : shown(meaning.join("; ")),
    program: shown(textAt(fim, "actor", "exe")),
    pid: numberAt(fim, "actor", "pid"),
    before_sha256: shown(textAt(fim, "before", "sha256")),
    after_sha256: shown(textAt(fim, "after", "sha256")),
    reason: shown(reasonOf(notice)),
  });
}

function shown(text: string | undefined): string | undefined {
  return text === undefined ? undefined : fit(harmless(text), mostDetail);
}
