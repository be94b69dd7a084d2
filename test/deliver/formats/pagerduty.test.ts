import test from "ava";
import fc from "fast-check";
import type { StatusAnswer } from "../../../src/core/backoff.ts";
import { pagerduty } from "../../../src/deliver/formats/pagerduty.ts";
import {
  alarmOf,
  alertOf,
  anyName,
  hostileNames,
  noticeOf,
  plainContext,
} from "../../helpers/notices.ts";
import type { Notice } from "../../../src/core/record/notice.ts";
import { alertRecord, record } from "../../helpers/queue.ts";
import { startService } from "../../helpers/service.ts";
import { deliverAll } from "../../helpers/sink.ts";

interface PagerEvent {
  readonly routing_key: string;
  readonly event_action: "trigger" | "resolve";
  readonly dedup_key: string;
  readonly payload?: {
    readonly summary: string;
    readonly source: string;
    readonly severity: string;
    readonly custom_details: Readonly<Record<string, unknown>>;
  };
}

const key = "R0123456789012345678901234567890";
const send = (notice: Notice): PagerEvent => {
  const context = { ...plainContext, secret: { keys: [], token: key } };
  return JSON.parse(pagerduty.message([notice], context).body.toString()) as PagerEvent;
};

/** What developer.pagerduty.com/docs/send-alert-event asks of an event. */
function faultIn(body: string): string | undefined {
  if (Buffer.byteLength(body) > 512 * 1024) return "too large";
  const {
    routing_key: routing,
    event_action: action,
    dedup_key: dedup,
    payload,
  } = JSON.parse(body) as PagerEvent;
  if (routing !== key) return "Invalid routing key";
  if (dedup.length === 0 || dedup.length > 255) return "dedup_key";
  if (action === "resolve") return undefined;
  if (!payload || payload.summary === "" || payload.summary.length > 1024) return "summary";
  if (payload.source === "") return "source";
  return ["critical", "error", "warning", "info"].includes(payload.severity)
    ? undefined
    : "severity";
}

test("an alert is a trigger with its severity, place, rule, techniques and link", (t) => {
  const alert = alertOf("x");
  t.like(send(alert), {
    routing_key: key,
    event_action: "trigger",
    dedup_key: `lab/cp-1/${alert.id}`,
    client_url: `https://fim.example/alerts/${alert.id}`,
    payload: {
      summary: alert.message,
      source: "cp-1",
      severity: "critical",
      timestamp: "2026-11-23T03:21:41.123Z",
      group: "lab",
      class: "kubeadm/static-pods",
      custom_details: {
        path: "/etc/cron.d/x",
        program: "/usr/bin/chmod",
        techniques: "T1610 Deploy Container (Execution, Defense Evasion)",
      },
    },
  });
});

test("the changes of one procedure share an incident, and the end of a trouble resolves its beginning", (t) => {
  const [one, two] = [alertOf("a", { incident: "i-1" }), alertOf("b", { incident: "i-1" })];
  t.is(send(one).dedup_key, send(two).dedup_key);
  t.not(send(alertOf("c")).dedup_key, send(one).dedup_key);
  const event = (name: string) =>
    send(noticeOf(record("agent", { uid: name, event: name, trouble: "engine" })));
  t.is(event("degraded").event_action, "trigger");
  t.is(event("recovered").event_action, "resolve");
  t.is(event("degraded").dedup_key, event("recovered").dedup_key);
  const [silent, heard] = [noticeOf(alarmOf("silent")), noticeOf(alarmOf("heard", "info"))];
  t.is(send(silent).event_action, "trigger");
  t.is(send(heard).event_action, "resolve");
  t.is(send(silent).dedup_key, send(heard).dedup_key);
});

test("events arrive one by one, through a limit of the rate", async (t) => {
  const taken: string[] = [];
  await using service = await startService(({ body }) => {
    const fault = faultIn(body);
    if (fault !== undefined)
      return { status: 400, body: { status: "invalid event", errors: [fault] } };
    taken.push((JSON.parse(body) as PagerEvent).dedup_key);
    return { status: 202, body: { status: "success" } };
  });
  service.interrupt({ status: 429 }, { status: 500 });
  await deliverAll({ format: "pagerduty", url: `${service.url}/v2/enqueue`, token: key }, [
    alertRecord("one"),
    alertRecord("two"),
  ]);
  t.deepEqual(taken, ["lab/cp-1/one", "lab/cp-1/two"]);
});

const answer = (error: string): StatusAnswer => ({
  kind: "status",
  status: 400,
  body: JSON.stringify({ status: "invalid event", errors: [error] }),
});
const outcome = (error: string) => pagerduty.outcome?.(answer(error), { count: 1, now: 0 });

test("a wrong key is for a person to repair; an invalid event is refused", (t) => {
  t.is(outcome("Invalid routing key")?.kind, "rejected");
  t.is(outcome("Length of 'routing_key' is incorrect")?.kind, "rejected");
  t.deepEqual(outcome("'payload.severity' is invalid"), {
    kind: "refused",
    why: "status 400, 'payload.severity' is invalid",
  });
});

function isTaken(name: string): boolean {
  const alert = alertOf(name.repeat(100), { incident: name.repeat(100) });
  const event = send(alert);
  const texts = [event.payload?.summary ?? "", String(event.payload?.custom_details["path"])];
  return (
    faultIn(JSON.stringify(event)) === undefined &&
    texts.every((text) => !/[\u0000-\u001f\u202a-\u202e]/.test(text))
  );
}

test("no name of a file breaks a limit of PagerDuty or hides in what people read", (t) => {
  for (const name of hostileNames) t.true(isTaken(name), name);
  fc.assert(fc.property(anyName, isTaken));
});
