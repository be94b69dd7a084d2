import { createHmac, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { chmodSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { ExecutionContext } from "ava";
import { Webhook as Verifier } from "standardwebhooks";
import { hashRecord } from "../../../src/core/record/chain.ts";
import { readNotice } from "../../../src/core/record/notice.ts";
import { makeReceiver } from "../../../src/deliver/formats/formats.ts";
import { standard } from "../../../src/deliver/formats/standard.ts";
import { parseSecret } from "../../../src/deliver/secret.ts";
import type { SinkSettings } from "../../../src/deliver/sink.ts";
import { alertRecord, record } from "../../helpers/queue.ts";
import { peerThat, status } from "../../helpers/peer.ts";
import type { Received } from "../../helpers/peer.ts";

const never = new AbortController().signal;
const uid = "01a2b3c4-0000-7000-8000-00000000000a";
const secretA = `whsec_${Buffer.alloc(32, 1).toString("base64")}`;
const secretB = `whsec_${Buffer.alloc(24, 2).toString("base64")}`;

function keysFile(t: ExecutionContext, text: string): string {
  const dir = mkdtempSync(join(tmpdir(), "fim-webhook-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "keys");
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

function open(t: ExecutionContext, settings: Partial<SinkSettings>, warnings: string[] = []) {
  const webhook = makeReceiver(
    {
      url: "http://127.0.0.1:1/",
      secret: "",
      format: "standard",
      minSeverity: "info",
      ...settings,
    },
    { clock: Date.now, warn: (problem) => warnings.push(problem) },
  );
  t.teardown(() => webhook[Symbol.dispose]());
  return webhook;
}

function bodyOf(bytes: Buffer): string {
  const notice = readNotice(bytes);
  if (!notice) return "{}";
  const context = { now: 0, secret: parseSecret(secretA, "keys"), link: () => undefined };
  return standard.message([notice], context).body.toString();
}

function typeOf(bytes: Buffer) {
  return [JSON.parse(bodyOf(bytes)).type, readNotice(bytes)?.id];
}

function signatures(received: Received | undefined): string[] {
  return String(received?.headers["webhook-signature"]).split(" ");
}

/** A receiver's own idea of the HMAC, made from the specification alone. */
function hmac(secret: string, received: Received): string {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const { headers, body } = received;
  const signed = `${String(headers["webhook-id"])}.${String(headers["webhook-timestamp"])}.${body}`;
  return `v1,${createHmac("sha256", key).update(signed).digest("base64")}`;
}

test("an alert arrives as a Standard Webhook that others can verify", async (t) => {
  await using peer = await peerThat(status(200));
  const webhook = open(t, { url: peer.url, secret: keysFile(t, secretA) });
  const bytes = alertRecord(uid);
  await webhook.post([{ seq: 1, bytes }], never);
  const [received] = peer.received;
  t.truthy(received);
  if (!received) return;
  t.is(received.headers["content-type"], "application/json");
  t.is(received.headers["webhook-id"], uid);
  t.deepEqual(signatures(received), [hmac(secretA, received)]);
  const headers = received.headers as Record<string, string>;
  const payload = new Verifier(secretA).verify(received.body, headers);
  t.deepEqual(payload, {
    type: "fim.alert.modified",
    timestamp: "2026-01-02T03:04:05.678Z",
    data: JSON.parse(bytes.toString()).body,
  });
  t.throws(() => new Verifier(secretB).verify(received.body, headers));
});

test("an Ed25519 key signs beside the secrets", async (t) => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const seed = Buffer.from(privateKey.export({ format: "jwk" }).d ?? "", "base64url");
  await using peer = await peerThat(status(200));
  const secret = keysFile(t, `${secretA}\nwhsk_${seed.toString("base64")}\n`);
  const webhook = open(t, { url: peer.url, secret });
  await webhook.post([{ seq: 1, bytes: alertRecord(uid) }], never);
  const [received] = peer.received;
  const [first, second] = signatures(received);
  t.true(first?.startsWith("v1,"));
  t.true(second?.startsWith("v1a,"));
  const { "webhook-id": id, "webhook-timestamp": timestamp } = received?.headers ?? {};
  const signed = Buffer.from(`${String(id)}.${String(timestamp)}.${received?.body}`);
  const signature = Buffer.from(second?.slice(4) ?? "", "base64");
  t.true(verify(null, signed, createPublicKey(privateKey), signature));
});

test("keys that are changed in the file are used from the next request on", async (t) => {
  await using peer = await peerThat(status(200));
  const secret = keysFile(t, secretA);
  const webhook = open(t, { url: peer.url, secret });
  const send = () => webhook.post([{ seq: 1, bytes: alertRecord(uid) }], never);
  await send();
  writeFileSync(`${secret}.new`, `${secretA}\n${secretB}\n`, { mode: 0o600 });
  renameSync(`${secret}.new`, secret);
  await send();
  writeFileSync(`${secret}.new`, `${secretB}\n`, { mode: 0o600 });
  renameSync(`${secret}.new`, secret);
  await send();
  const expected = [[secretA], [secretA, secretB], [secretB]];
  for (const [index, received] of peer.received.entries()) {
    t.deepEqual(
      signatures(received),
      (expected[index] ?? []).map((key) => hmac(key, received)),
    );
  }
  t.is(peer.received.length, 3);
});

test("a keys file that was spoilt or deleted is reported once, and the old keys stay", async (t) => {
  await using peer = await peerThat(status(200));
  const secret = keysFile(t, secretA);
  const warnings: string[] = [];
  const webhook = open(t, { url: peer.url, secret }, warnings);
  const send = () => webhook.post([{ seq: 1, bytes: alertRecord(uid) }], never);
  writeFileSync(secret, "whsec_short\n");
  await send();
  await send();
  rmSync(secret);
  await send();
  await send();
  t.is(warnings.length, 2);
  t.regex(warnings[0] ?? "", /line 1.*the keys read before stay in use$/);
  t.notRegex(warnings.join(), /whsec_short/);
  t.regex(warnings[1] ?? "", /ENOENT/);
  for (const received of peer.received)
    t.deepEqual(signatures(received), [hmac(secretA, received)]);
});

test("keys that others may read are used with a warning", (t) => {
  const secret = keysFile(t, secretA);
  chmodSync(secret, 0o644);
  const warnings: string[] = [];
  open(t, { secret }, warnings);
  t.deepEqual(warnings, [`webhook keys ${secret}: expected mode 0600, found 0644`]);
});

test("a webhook without usable keys is refused at once", (t) => {
  t.throws(() => open(t, { secret: "/nonexistent/keys" }), { code: "KEY_INVALID" });
  t.throws(() => open(t, { secret: keysFile(t, "# none\n") }), { code: "KEY_INVALID" });
});

test("alerts below the minimum are not wanted; what the agent says of itself always is", (t) => {
  const webhook = open(t, { secret: keysFile(t, secretA), minSeverity: "high" });
  const wants = (bytes: Buffer) => webhook.wants({ seq: 1, bytes });
  t.deepEqual(
    [1, 2, 3, 4, 5].map((severity) => wants(alertRecord(uid, severity))),
    [false, false, false, true, true],
  );
  t.true(wants(record("agent", { uid, event: "degraded", detail: "fanotify lost" })));
  t.true(wants(record("dropped", { uid, count: 3 })));
  t.true(wants(record("baseline", { uid, counter: 2 })));
  t.false(wants(record("agent", { uid, event: "heartbeat" })));
  t.false(wants(record("genesis", { node: "cp-1" })));
  t.false(wants(record("rekey", {})));
});

test("each kind of record has its type, and its id is the same on every attempt", (t) => {
  t.deepEqual(typeOf(alertRecord(uid, 3, "transient")), ["fim.alert.transient", uid]);
  for (const event of ["started", "stopped", "degraded", "recovered"]) {
    t.deepEqual(typeOf(record("agent", { uid, event })), [`fim.agent.${event}`, uid]);
  }
  t.deepEqual(typeOf(record("baseline", { uid })), ["fim.agent.baseline", uid]);
  const nameless = record("dropped", { count: 1 });
  t.deepEqual(typeOf(nameless), ["fim.agent.dropped", hashRecord(nameless)]);
});

test("the event is sent as the very bytes that were signed in the chain", (t) => {
  const tricky = { uid, event: "started", text: 'a ","body":{"x":1} b', number: 1e21, é: "\u2028" };
  const bytes = record("agent", tricky);
  const body = bodyOf(bytes);
  t.true(body.endsWith(`"data":${JSON.stringify(tricky)}}`));
  t.true(bytes.includes(body.slice(body.indexOf('"data":') + 7, -1)));
});
