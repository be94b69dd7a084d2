import { attackText } from "../../core/record/attack.ts";
import { textAt } from "../../core/record/fields.ts";
import type { Notice } from "../../core/record/notice.ts";
import { harmless } from "../../core/path.ts";
import { present } from "../../core/present.ts";
import { isoTime } from "../../core/text/change-json.ts";
import { bearer, json, refusing, withPath } from "../format.ts";
import type { Format, FormatContext } from "../format.ts";
import { fit, reasonOf } from "./text.ts";

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
    labels: labelsOf(notice),
    annotations: present({
      summary: fit(notice.message, mostAnnotation),
      reason: annotation(reasonOf(notice)),
      techniques: annotation(notice.attack.map(attackText).join("; ")),
    }),
    startsAt: isoTime(Math.min(notice.time, now)),
    endsAt: isoTime(endOf(notice, now)),
    ...(url !== undefined && { generatorURL: url }),
  };
}

const names = { change: "FimFileChanged", alarm: "FimAlarm", event: "FimAgentEvent" } as const;

/**
 * The end of a trouble has the labels of its beginning. Anything else has a label of its own: a second change of a file
 * is not the first one still lasting.
 */
function labelsOf(notice: Notice) {
  const { body, cluster, node, severity, trouble } = notice;
  const place = { cluster: label(cluster), node: label(node) };
  if (trouble !== undefined) {
    const alertname = trouble === "silent" ? "FimAgentSilent" : "FimAgentDegraded";
    return { alertname, ...place, severity: troubleSeverity(trouble), trouble: label(trouble) };
  }
  return present({
    alertname: names[notice.kind],
    ...place,
    severity,
    rule: notice.rule === undefined ? undefined : label(notice.rule),
    event: notice.kind === "change" ? undefined : notice.type,
    change: optional(textAt(body, "unmapped", "fim", "change")),
    path: optional(textAt(body, "unmapped", "fim", "path")),
    uid: notice.id,
  });
}

function troubleSeverity(trouble: string): Notice["severity"] {
  return trouble === "silent" ? "critical" : "high";
}

function endOf({ trouble, isOver }: Notice, now: number): number {
  if (isOver) return now;
  return now + (trouble === undefined ? changeLasts : troubleLasts);
}

function optional(text: string | undefined): string | undefined {
  return text === undefined ? undefined : label(text);
}

function label(text: string): string {
  return fit(harmless(text), mostLabel);
}

function annotation(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : fit(harmless(text), mostAnnotation);
}
