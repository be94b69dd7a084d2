import { classify } from "../../core/backoff.ts";
import { numberAt, textAt } from "../../core/record/fields.ts";
import { bodyText } from "../../core/record/chain.ts";
import type { Notice } from "../../core/record/notice.ts";
import { json, withPath } from "../format.ts";
import type { Format, FormatContext } from "../format.ts";
import { parseJson, reason } from "./answer.ts";

/** Splunk's HTTP Event Collector: events in JSON, one after another, without anything between them. */
export const splunk: Format = {
  maxPerPost: 256,
  isForPeople: false,
  readsBody: true,
  endpoint: (url) => withPath(url, "/services/collector/event"),
  message(notices, context) {
    const headers = { ...json, authorization: `Splunk ${context.secret.token}` };
    const events = notices.map((notice) => eventOf(notice, context));
    return { headers, body: Buffer.from(events.join("")) };
  },
  outcome(answer, { now }) {
    const body = parseJson(answer);
    const code = numberAt(body, "code");
    const why = reason(`status ${answer.status}`, codeText(code), textAt(body, "text"));
    if (answer.status === 413) return { kind: "refused", why };
    if (answer.status === 400 && code !== undefined && dataCodes.has(code))
      return { kind: "refused", why };
    const outcome = classify(answer, now);
    if (outcome.kind !== "delivered") return { ...outcome, why };
    // Code 0 is success. Receivers that speak HEC without codes answer by status alone.
    return code === undefined || code === 0 ? outcome : { kind: "retry", why };
  },
};

/**
 * Codes that blame the data: no data, invalid data format, event field required or blank, error in indexed fields. The
 * others of status 400 blame the index, the channel or the token, which a person must repair.
 */
const dataCodes: ReadonlySet<number> = new Set([5, 6, 12, 13, 15]);

function codeText(code: number | undefined): string | undefined {
  return code === undefined ? undefined : `code ${code}`;
}

/** The event is the record's own text; an event of the agent is put under its type. */
function eventOf(notice: Notice, { link }: FormatContext): string {
  const { time, node, cluster, severity, type, kind, bytes } = notice;
  const url = link(notice);
  const head = {
    time: time / 1000,
    host: node,
    source: "fim-agent",
    sourcetype: kind === "event" ? "fim:agent" : "fim:ocsf",
    fields: { cluster, severity, type, ...(url !== undefined && { link: url }) },
  };
  const text = bodyText(bytes);
  const event = kind === "event" ? `{"type":"${type}","data":${text}}` : text;
  return `${JSON.stringify(head).slice(0, -1)},"event":${event}}`;
}
