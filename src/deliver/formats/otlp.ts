import type { Outcome } from "../../core/backoff.ts";
import { attackText } from "../../core/record/attack.ts";
import { fieldsOf, numberAt, textAt } from "../../core/record/fields.ts";
import { bodyText } from "../../core/record/chain.ts";
import type { Notice } from "../../core/record/notice.ts";
import { bearer, json, refusing, withPath } from "../format.ts";
import type { Format, FormatContext } from "../format.ts";
import { parseJson, reason } from "./answer.ts";

/** OTLP/HTTP logs in JSON (opentelemetry.io/docs/specs/otlp). */
export const otlp: Format = {
  maxPerPost: 256,
  isForPeople: false,
  readsBody: true,
  endpoint: (url) => withPath(url, "/v1/logs"),
  message(notices, context) {
    const nodes = Map.groupBy(notices, ({ cluster, node }) => `${cluster}/${node}`);
    const resourceLogs = [...nodes.values()].map((own) => resourceLog(own, context));
    const body = Buffer.from(JSON.stringify({ resourceLogs }));
    return { headers: { ...json, ...bearer(context.secret) }, body };
  },
  outcome(answer, sent) {
    const outcome = refusing(answer, sent);
    if (outcome.kind === "delivered") return partialSuccess(parseJson(answer), sent.count);
    // Only 429, 502, 503 and 504 say that the same request may succeed soon.
    return answer.status === 500 ? { kind: "rejected", why: "status 500" } : outcome;
  },
};

/** A client must not retry what a server rejects in an answer of 200. */
function partialSuccess(body: unknown, sent: number): Outcome {
  const partial = fieldsOf(fieldsOf(body)["partialSuccess"]);
  // A 64-bit number is a text in the JSON of protobuf.
  const rejected = Number(partial["rejectedLogRecords"] ?? 0);
  if (!Number.isSafeInteger(rejected) || rejected <= 0) return { kind: "delivered" };
  const why = reason("partial success", textAt(partial, "errorMessage"));
  return { kind: "delivered", refused: { count: Math.min(rejected, sent), why } };
}

/** opentelemetry.io/docs/specs/otel/logs/data-model: INFO, INFO2, WARN, ERROR, FATAL. */
const severityNumbers = { info: 9, low: 10, medium: 13, high: 17, critical: 21 } as const;

function resourceLog(notices: readonly Notice[], context: FormatContext) {
  const [first] = notices;
  return {
    resource: {
      attributes: attributesOf({
        "service.name": "fim-agent",
        "service.version":
          textAt(first?.body, "metadata", "product", "version") ?? textAt(first?.body, "version"),
        "k8s.cluster.name": first?.cluster,
        "k8s.node.name": first?.node,
        "host.name": textAt(first?.body, "device", "hostname") ?? first?.node,
      }),
    },
    scopeLogs: [
      { scope: { name: "fim-agent" }, logRecords: notices.map((one) => logRecord(one, context)) },
    ],
  };
}

function logRecord(notice: Notice, { now, link }: FormatContext) {
  const { body, severity, type, attack } = notice;
  return {
    timeUnixNano: nanoseconds(notice.time),
    observedTimeUnixNano: nanoseconds(now),
    severityNumber: severityNumbers[severity],
    severityText: severity.toUpperCase(),
    eventName: type,
    body: { stringValue: notice.message },
    attributes: attributesOf({
      "event.name": type,
      "log.record.uid": notice.id,
      "fim.rule": notice.rule,
      "fim.attack": attack.length > 0 ? attack.map(attackText).join("; ") : undefined,
      "file.path": textAt(body, "unmapped", "fim", "path"),
      "process.pid": numberAt(body, "unmapped", "fim", "actor", "pid"),
      "process.executable.path": textAt(body, "unmapped", "fim", "actor", "exe"),
      "url.full": link(notice),
      "log.record.original": bodyText(notice.bytes),
    }),
  };
}

function nanoseconds(time: number): string {
  return `${Math.floor(time)}000000`;
}

function attributesOf(members: Readonly<Record<string, string | number | undefined>>) {
  return Object.entries(members).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: valueOf(value) }],
  );
}

function valueOf(value: string | number) {
  return typeof value === "string"
    ? { stringValue: value }
    : { intValue: String(Math.trunc(value)) };
}
