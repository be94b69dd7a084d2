import { writeFileSync } from "node:fs";
import test from "ava";
import { toEvent } from "../../src/core/record/alert.ts";
import { harmless } from "../../src/core/path.ts";
import { makeReceiver } from "../../src/deliver/formats/formats.ts";
import { parseCef } from "../helpers/cef.ts";
import { eventContext, judgedOf, seen } from "../helpers/judged.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { hostileNames } from "../helpers/notices.ts";
import { issue } from "../helpers/pki.ts";
import { alertRecord, record } from "../helpers/queue.ts";
import { deliverAll } from "../helpers/sink.ts";
import { readFrames, startListener, startRsyslog } from "../helpers/syslog.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";

const real = needing(missingProgram("rsyslogd"));
const never = new AbortController().signal;
const uids = (count: number, prefix = "uid") =>
  Array.from({ length: count }, (_, at) => `${prefix}-${at}`);

const alertOf = (name: string): Buffer => {
  const change = { path: `/etc/cron.d/${name}`, kind: "created", after: seen() } as const;
  return record("alert", toEvent(judgedOf({ change }), eventContext()));
};

function receiverTo(url: string, timeout = 15_000, ca?: string) {
  const settings = { format: "syslog", url, minSeverity: "info", ...(ca && { ca }) } as const;
  return makeReceiver(settings, { clock: Date.now, warn: () => undefined, timeout });
}

const leased = (bytes: Buffer) => [{ seq: 1, bytes }];
const idsIn = (messages: readonly string[]) =>
  messages.map(
    (message) => parseCef(message.slice(message.indexOf("CEF:"))).extension["externalId"],
  );

real("a real rsyslogd reads each alert as one message, whatever the file is called", async (t) => {
  await using rsyslog = await startRsyslog();
  const url = `tcp://127.0.0.1:${rsyslog.port}`;
  await deliverAll({ format: "syslog", url }, hostileNames.map(alertOf));
  const logged = await until(() => {
    const all = rsyslog.logged();
    return all.length >= hostileNames.length && all;
  });
  t.is(logged.length, hostileNames.length);
  t.deepEqual(
    logged.map(({ message }) => parseCef(message).extension["filePath"]),
    hostileNames.map((name) => harmless(`/etc/cron.d/${name}`)),
  );
  t.true(logged.every(({ app, host }) => app === "fim-agent" && host === "cp-1"));
  t.like(logged[0], { id: "fim.alert.created", priority: "106" });
  t.is(Date.parse(logged[0]?.time ?? ""), Date.UTC(2026, 10, 23, 3, 21, 41, 123));
});

real(
  "a real rsyslogd that is started again gets what comes after, over a new connection",
  async (t) => {
    await using rsyslog = await startRsyslog();
    using receiver = receiverTo(`tcp://127.0.0.1:${rsyslog.port}`);
    t.deepEqual(await receiver.post(leased(alertRecord("before")), never), { kind: "sent" });
    await until(() => rsyslog.logged().length === 1);
    await rsyslog.restart();
    const sent = await until(async () => {
      const answer = await receiver.post(leased(alertRecord("after")), never);
      return answer?.kind === "sent";
    });
    t.true(sent);
    await until(() => rsyslog.logged().length >= 2);
    t.deepEqual(idsIn(rsyslog.logged().map(({ message }) => message)), ["before", "after"]);
  },
);

test("all records arrive in whole frames over one connection", async (t) => {
  await using listener = await startListener();
  const url = `tcp://127.0.0.1:${listener.port}`;
  await deliverAll(
    { format: "syslog", url },
    uids(600).map((uid) => alertRecord(uid)),
  );
  const messages = await until(() => {
    const text = listener.text();
    return text.includes("externalId=uid-599 ") && readFrames(text);
  });
  t.deepEqual(idsIn(messages), uids(600));
  t.is(listener.sockets.length, 1);
});

needing(missingProgram("openssl"))(
  "over TLS only a certificate of the named authority is trusted",
  async (t) => {
    using place = makePlace();
    const authority = issue({ subject: "/CN=lab CA", usage: "CA" });
    const tls = issue(
      { subject: "/CN=syslog", usage: ["serverAuth"], names: ["IP:127.0.0.1"] },
      authority,
    );
    writeFileSync(place.at("ca.pem"), authority.certificate);
    await using listener = await startListener(tls);
    const url = `tls://127.0.0.1:${listener.port}`;
    using trusting = receiverTo(url, 15_000, place.at("ca.pem"));
    t.deepEqual(await trusting.post(leased(alertRecord("one")), never), { kind: "sent" });
    await until(() => listener.text() !== "");
    t.deepEqual(idsIn(readFrames(listener.text())), ["one"]);
    using wary = receiverTo(url);
    t.is((await wary.post(leased(alertRecord("two")), never))?.kind, "network");
    t.false(listener.text().includes("two"));
  },
);

test("a receiver that is not there, that ends or that never reads is an answer, and an abort is none", async (t) => {
  await using gone = await startListener();
  const { port } = gone;
  await gone[Symbol.asyncDispose]();
  using absent = receiverTo(`tcp://127.0.0.1:${port}`);
  t.like(await absent.post(leased(alertRecord("x")), never), { kind: "network" });

  await using deaf = await startListener(undefined, (socket) => void socket.pause());
  using stuck = receiverTo(`tcp://127.0.0.1:${deaf.port}`, 300);
  const many = uids(256, "u".repeat(100)).map((uid, seq) => ({
    seq,
    bytes: record("agent", { uid, event: "degraded", reason: "x".repeat(1000) }),
  }));
  const answers = [];
  while (answers.length < 200 && answers.at(-1)?.kind !== "timeout")
    answers.push(await stuck.post(many, never));
  t.deepEqual(answers.at(-1), { kind: "timeout", detail: "not taken within 300 ms" });

  const stop = new AbortController();
  stop.abort();
  t.is(await stuck.post(leased(alertRecord("x")), stop.signal), undefined);
});

test("a connection that the receiver ended takes no further record", async (t) => {
  await using listener = await startListener();
  using receiver = receiverTo(`tcp://127.0.0.1:${listener.port}`);
  await receiver.post(leased(alertRecord("one")), never);
  await until(() => listener.text() !== "");
  const [first] = listener.sockets;
  const ended = new Promise((resolve) => first?.once("close", resolve));
  first?.end();
  await ended;
  await receiver.post(leased(alertRecord("two")), never);
  await until(() => listener.sockets.length === 2 && listener.text().includes("externalId=two"));
  t.deepEqual(idsIn(readFrames(listener.text())), ["one", "two"]);
});
