import test from "ava";
import fc from "fast-check";
import { harmless } from "../../../src/core/path.ts";
import { cef } from "../../../src/deliver/formats/cef.ts";
import { syslogFrame } from "../../../src/deliver/formats/syslog.ts";
import { judgedOf, seen } from "../../helpers/judged.ts";
import { parseCef } from "../../helpers/cef.ts";
import { alarmOf, alertOf, anyName, hostileNames, noticeOf } from "../../helpers/notices.ts";
import { record } from "../../helpers/queue.ts";

test("an alert has the file before and after, the process and its own members under labels", (t) => {
  const change = {
    path: "/etc/hosts",
    kind: "modified",
    fields: ["mode"],
    before: seen(),
    after: seen({ mode: 0o644 }),
  } as const;
  const alert = alertOf("x", { ...judgedOf(), change });
  const { head, extension } = parseCef(cef(alert, "https://fim.example/a?b=c"));
  t.deepEqual(head, [
    "CEF:0",
    "fim-agent",
    "fim-agent",
    "0.1.0",
    "kubeadm/static-pods",
    "fim.alert.modified",
    "10",
  ]);
  t.like(extension, {
    rt: String(alert.time),
    dvchost: "cp-1",
    externalId: alert.id,
    act: "modified",
    filePath: "/etc/hosts",
    fname: "hosts",
    filePermission: "0644",
    oldFilePermission: "0600",
    sproc: "/usr/bin/chmod",
    spid: "48211",
    suser: "root",
    msg: alert.message,
    cs1Label: "cluster",
    cs1: "lab",
    cs2: "T1610 Deploy Container (Execution, Defense Evasion)",
    cs4Label: "link",
    cs4: "https://fim.example/a?b=c",
  });
});

test("an event of an agent and an alarm of a collector have a message and no file", (t) => {
  const notice = noticeOf(record("agent", { uid: "u", event: "degraded", trouble: "engine" }));
  const { head, extension } = parseCef(cef(notice, undefined));
  t.is(head[5], "fim.agent.degraded");
  t.is(extension["msg"], "cp-1: agent degraded, engine");
  t.false("filePath" in extension || "cs4" in extension);
  const alarm = parseCef(cef(noticeOf(alarmOf("fork")), undefined));
  t.like(alarm.extension, { reason: "Two histories of one node", msg: "cp-1: it is fork" });
  t.false("filePath" in alarm.extension);
});

/** The members of an alert about a file with an ordinary name. */
const ordinary = Object.keys(parseCef(cef(alertOf("x"), undefined)).extension);

function isHarmless(name: string): boolean {
  const alert = alertOf(name);
  const { head, extension } = parseCef(cef(alert, undefined));
  const path = harmless(`/etc/cron.d/${name}`);
  return (
    head.length === 7 &&
    Object.keys(extension).every((key) => ordinary.includes(key)) &&
    (path.length > 500 || extension["filePath"] === path)
  );
}

test("no name of a file adds a member, changes the head or gets lost", (t) => {
  for (const name of hostileNames) t.true(isHarmless(name), name);
  fc.assert(fc.property(anyName, isHarmless));
});

function isFrame(name: string): boolean {
  const frame = syslogFrame(alertOf(name.repeat(100)), undefined);
  const [, count = "", message = ""] = /^(\d+) ([^]*)$/.exec(frame.toString()) ?? [];
  return (
    Number(count) === Buffer.byteLength(message) &&
    Buffer.byteLength(message) <= 8192 &&
    !/[\u0000-\u001f]/.test(message) &&
    message.startsWith(
      "<106>1 2026-11-23T03:21:41.123Z cp-1 fim-agent - fim.alert.created - CEF:0|",
    )
  );
}

test("a frame counts its own bytes, is one line and holds at most 8 KiB", (t) => {
  for (const name of hostileNames) t.true(isFrame(name), name);
  fc.assert(fc.property(anyName, isFrame));
});

test("a node's name that is no word of RFC 5424 stays one word", (t) => {
  const notice = { ...alertOf("x"), node: "a b\n<1>é", type: "x".repeat(40) };
  const [, , host, , , id = ""] = syslogFrame(notice, undefined).toString().split(" ").slice(1);
  t.is(host, "a?b?<1>?");
  t.is(id.length, 32);
});
