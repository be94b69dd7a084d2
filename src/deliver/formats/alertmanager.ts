import { attackText } from "../../core/record/attack.ts";
import { textAt } from "../../core/record/fields.ts";
import type { Notice } from "../../core/record/notice.ts";
import { harmless } from "../../core/path.ts";
import { present } from "../../core/present.ts";
import { isoTime } from "../../core/text/change-json.ts";
import { bearer, json, refusing, withPath } from "../format.ts";
import type { Format, FormatContext } from "../format.ts";
import { fit } from "./text.ts";

/** Alertmanager holds states, not events: an alert ends by itself after this many milliseconds. */
const changeLasts = 3_600_000;
const troubleLasts = 24 * changeLasts;
const mostLabel = 1024;
const mostAnnotation = 4000;

/** Prometheus Alertmanager's API v2 (prometheus/alertmanager, api/v2/openapi.yaml). */
export const alertmanager: Format = {
  maxPerPost: 64,
  isForPeople: true,
  endpoint: (url) => withPath(url, "/api/v2/alerts"),
  message(notices, context) {
    const alerts = notices.map((notice) => alertOf(notice, context));
    const headers = { ...json, ...bearer(context.secret) };
    return { headers, body: Buffer.from(JSON.stringify(alerts)) };
  },
  outcome: refusing,
};

function alertOf(notice: Notice, { now, link }: FormatContext) {
  const url = link(notice);
  return {
    labels: notice.isAlert ? changeLabels(notice) : eventLabels(notice),
    annotations: present({
      summary: fit(notice.message, mostAnnotation),
      reason: annotation(textAt(notice.body, "policy", "desc") ?? textAt(notice.body, "reason")),
      techniques: annotation(notice.attack.map(attackText).join("; ")),
    }),
    startsAt: isoTime(Math.min(notice.time, now)),
    endsAt: isoTime(endOf(notice, now)),
    ...(url !== undefined && { generatorURL: url }),
  };
}

/** Each change has labels of its own: a second change of a file is not the first one still lasting. */
function changeLabels(notice: Notice) {
  const { body, id, rule } = notice;
  return present({
    alertname: "FimFileChanged",
    ...placeOf(notice),
    rule: rule === undefined ? undefined : label(rule),
    change: label(textAt(body, "unmapped", "fim", "change") ?? "unknown"),
    path: label(textAt(body, "unmapped", "fim", "path") ?? ""),
    uid: id,
  });
}

/** The end of a trouble has the labels of its beginning, but for its severity. */
function eventLabels(notice: Notice) {
  const trouble = textAt(notice.body, "trouble");
  const isTrouble = /^fim\.agent\.(?:degraded|recovered)$/.test(notice.type);
  return present({
    alertname: isTrouble ? "FimAgentDegraded" : "FimAgentEvent",
    ...placeOf(notice),
    severity: isTrouble ? "high" : notice.severity,
    event: isTrouble ? undefined : notice.type,
    trouble: trouble === undefined ? undefined : label(trouble),
  });
}

function placeOf({ cluster, node, severity }: Notice) {
  return { cluster: label(cluster), node: label(node), severity };
}

function endOf({ type, isAlert }: Notice, now: number): number {
  if (type === "fim.agent.recovered") return now;
  return now + (type === "fim.agent.degraded" && !isAlert ? troubleLasts : changeLasts);
}

function label(text: string): string {
  return fit(harmless(text), mostLabel);
}

function annotation(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : fit(harmless(text), mostAnnotation);
}
