import test from "ava";
import fc from "fast-check";
import { bodyText, genesisHead, link } from "../../../src/core/record/chain.ts";
import type { AlarmKind } from "../../../src/core/record/finding.ts";
import { toFinding } from "../../../src/core/record/finding.ts";
import { readNotice } from "../../../src/core/record/notice.ts";
import { toEvent } from "../../../src/core/record/alert.ts";
import { eventContext, judgedOf } from "../../helpers/judged.ts";
import { alertRecord, record } from "../../helpers/queue.ts";

const uid = "01a2b3c4-0000-7000-8000-00000000000a";

test("an alert becomes a notice with its place, severity, rule and techniques", (t) => {
  const event = toEvent(judgedOf({ attack: ["T1574.006", "TA0003"] }), eventContext());
  t.like(readNotice(record("alert", event)), {
    id: event.metadata.uid,
    type: "fim.alert.modified",
    kind: "change",
    time: event.time,
    cluster: "lab",
    node: "cp-1",
    severity: "critical",
    message: event.message,
    rule: "kubeadm/static-pods",
    attack: ["T1574.006", "TA0003"],
  });
});

test("an event of the agent says what is in trouble and why", (t) => {
  const body = { uid, event: "degraded", trouble: "engine", reason: "no \u202efanotify" };
  t.like(readNotice(record("agent", body)), {
    type: "fim.agent.degraded",
    kind: "event",
    severity: "high",
    trouble: "engine",
    message: "cp-1: agent degraded, engine: no \\u202efanotify",
  });
});

test("an alarm of a collector is about its node, and its end names what it ends", (t) => {
  const alarm = (kind: AlarmKind) => {
    const about = { kind, cluster: "prod", node: "cp-2", severity: "high", reason: "why" } as const;
    const context = { uid, now: 0, version: "1", collector: "main" };
    return readNotice(record("collector", toFinding(about, context)));
  };
  t.like(alarm("silent"), {
    id: uid,
    type: "fim.collector.silent",
    kind: "alarm",
    cluster: "prod",
    node: "cp-2",
    severity: "high",
    message: "cp-2: why",
    trouble: "silent",
  });
  t.like(alarm("heard"), { type: "fim.collector.heard", trouble: "silent", isOver: true });
  t.is(alarm("fork")?.trouble, undefined);
  t.is(alarm("delivered")?.trouble, alarm("undelivered")?.trouble);
  t.deepEqual([alarm("undelivered")?.isOver, alarm("delivered")?.isOver], [undefined, true]);
});

test("a record that no sink carries has no notice, and bytes that are no record are a broken chain", (t) => {
  for (const kind of ["genesis", "rekey", "approval"] as const)
    t.is(readNotice(record(kind, {})), undefined);
  t.is(readNotice(record("agent", { event: "heartbeat" })), undefined);
  t.throws(() => readNotice(Buffer.from("{}")), { code: "CHAIN_BROKEN" });
});

test("an alert of unknown severity is critical", (t) => {
  t.is(readNotice(alertRecord(uid, 99))?.severity, "critical");
  t.is(readNotice(record("alert", {}))?.severity, "critical");
});

test("whatever a hostile node signs, a notice is printable, bounded in time, and keeps the body's text", (t) => {
  const hostile = fc.oneof(fc.string({ unit: "binary" }), fc.json({ maxDepth: 3 }), fc.double());
  fc.assert(
    fc.property(
      hostile,
      hostile,
      fc.constantFrom("alert", "agent", "baseline", "dropped"),
      (one, two, kind) => {
        const body = {
          uid: one,
          event: fc.sample(fc.constantFrom("degraded", "test"), 1)[0],
          trouble: one,
          reason: two,
          message: two,
          time: two,
          severity_id: one,
          metadata: { uid: one, event_code: two },
          unmapped: { fim: { change: one } },
          attacks: [one, { technique: { uid: two } }],
        };
        const head = genesisHead(Buffer.alloc(32));
        const { bytes } = link(head, "prod/cp-1/1", { at: "never", kind, body });
        const notice = readNotice(bytes);
        if (!notice) return false;
        const texts = [notice.message, notice.rule ?? "", notice.cluster, notice.node, notice.type];
        return (
          texts.every(
            (text) => !/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\ud800-\udfff]/u.test(text),
          ) &&
          !Number.isNaN(new Date(notice.time).getTime()) &&
          /^[\w-]+$/.test(notice.id) &&
          bodyText(bytes) === JSON.stringify(body)
        );
      },
    ),
  );
  t.pass();
});
