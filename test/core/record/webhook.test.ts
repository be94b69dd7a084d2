import { Buffer } from "node:buffer";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { Webhook } from "standardwebhooks";
import { IntegrityError } from "../../../src/core/error.ts";
import {
  parseKeys,
  signatureHeader,
  verifyWebhook,
  webhookBody,
  webhookType,
} from "../../../src/core/record/webhook.ts";
import type { ReceivedWebhook } from "../../../src/core/record/webhook.ts";

// The secret, message and signature that the Standard Webhooks libraries test themselves with.
const known = {
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  timestamp: 1_614_265_330,
  body: Buffer.from('{"test": 2432232314}'),
  signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};

const pair = generateKeyPairSync("ed25519");
const jwk = pair.privateKey.export({ format: "jwk" });
const seed = Buffer.from(jwk.d ?? "", "base64url");
const publicBytes = Buffer.from(jwk.x ?? "", "base64url");
const whsk = (bytes: Buffer): string => `whsk_${bytes.toString("base64")}`;
const whsec = (bytes: Uint8Array): string => `whsec_${Buffer.from(bytes).toString("base64")}`;

const id = "019ac1f6-2a83-7b1e-9a4e-0a3f2c6d5e41";
const now = 1_795_404_101;
const clock = { now, tolerance: 300 };

function sent(keys: string, body = Buffer.from('{"a":1}'), timestamp = now): ReceivedWebhook {
  const signature = signatureHeader({ id, timestamp, body }, parseKeys(keys));
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signature,
  };
  return { headers, body };
}

test("the known message of the Standard Webhooks libraries gets its known signature", (t) => {
  t.is(signatureHeader(known, parseKeys(known.secret)), known.signature);
});

test("the public Standard Webhooks library accepts what we sign, with every length of secret", (t) => {
  const lengths = fc.uint8Array({ minLength: 24, maxLength: 64 });
  // The library reads the system's clock itself, so the message must be of today.
  const timestamp = Math.floor(Date.now() / 1000);
  fc.assert(
    fc.property(lengths, fc.json(), (secret, json) => {
      const message = sent(whsec(secret), Buffer.from(json), timestamp);
      const headers = message.headers as Record<string, string>;
      t.deepEqual(
        new Webhook(whsec(secret)).verify(message.body.toString(), headers),
        JSON.parse(json),
      );
    }),
    { numRuns: 50 },
  );
});

test("the public library accepts a header that holds an Ed25519 signature too", (t) => {
  const timestamp = Math.floor(Date.now() / 1000);
  const message = sent(`${whsk(seed)}\n${known.secret}`, Buffer.from("{}"), timestamp);
  const headers = message.headers as Record<string, string>;
  t.regex(headers["webhook-signature"] ?? "", /^v1a,\S+ v1,\S+$/);
  t.deepEqual(new Webhook(known.secret).verify("{}", headers), {});
});

test("what the public library signs is accepted", (t) => {
  const body = Buffer.from('{"a":"é"}');
  const signature = new Webhook(known.secret).sign(id, new Date(now * 1000), body.toString());
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(now),
    "webhook-signature": signature,
  };
  t.true(verifyWebhook({ headers, body }, parseKeys(known.secret), clock));
});

test("an Ed25519 signature covers id, timestamp and body", (t) => {
  const { headers, body } = sent(whsk(seed));
  const [version, signature] = String(headers["webhook-signature"]).split(",");
  t.is(version, "v1a");
  const bytes = Buffer.concat([Buffer.from(`${id}.${now}.`), body]);
  t.true(
    verify(null, bytes, createPublicKey(pair.privateKey), Buffer.from(signature ?? "", "base64")),
  );
});

test("an Ed25519 key of 32 and of 64 bytes is the same key", (t) => {
  const long = whsk(Buffer.concat([seed, publicBytes]));
  t.deepEqual(sent(whsk(seed)), sent(long));
});

test("a message is accepted with the old key, the new key or both", (t) => {
  const [oldKey, newKey] = [whsec(Buffer.alloc(32, 1)), whsk(seed)];
  const message = sent(`${oldKey}\n${newKey}`);
  for (const keys of [oldKey, newKey, `${newKey}\n${oldKey}`]) {
    t.true(verifyWebhook(message, parseKeys(keys), clock));
  }
  t.false(verifyWebhook(message, parseKeys(whsec(Buffer.alloc(32, 2))), clock));
});

test("a message that was changed in any byte is refused", (t) => {
  const keys = parseKeys(`${known.secret}\n${whsk(seed)}`);
  const message = sent(`${known.secret}\n${whsk(seed)}`);
  t.true(verifyWebhook(message, keys, clock));
  for (let at = 0; at < message.body.length; at += 1) {
    const body = Buffer.from(message.body);
    body[at] = (body[at] ?? 0) ^ 1;
    t.false(verifyWebhook({ ...message, body }, keys, clock));
  }
  for (const [name, value] of Object.entries({
    "webhook-id": `${id}0`,
    "webhook-timestamp": String(now + 1),
  })) {
    const headers = { ...message.headers, [name]: value };
    t.false(verifyWebhook({ ...message, headers }, keys, clock));
  }
});

test("a message that is too old or too new is refused", (t) => {
  const keys = parseKeys(known.secret);
  t.true(verifyWebhook(sent(known.secret, Buffer.from("{}"), now - 300), keys, clock));
  t.true(verifyWebhook(sent(known.secret, Buffer.from("{}"), now + 300), keys, clock));
  t.false(verifyWebhook(sent(known.secret, Buffer.from("{}"), now - 301), keys, clock));
  t.false(verifyWebhook(sent(known.secret, Buffer.from("{}"), now + 301), keys, clock));
});

test("headers that are missing, doubled or senseless are refused without an error", (t) => {
  const keys = parseKeys(`${known.secret}\n${whsk(seed)}`);
  const message = sent(known.secret);
  const value = fc.oneof(
    fc.constant(undefined),
    fc.constant(["a", "b"]),
    fc.constantFrom("", "v1", "v1,", "v1a,", "v1a,AAAA", "v2,AAAA", "a.b", "1e9", "-1", ",", " "),
    fc.string(),
  );
  const headerName = fc.constantFrom("webhook-id", "webhook-timestamp", "webhook-signature");
  fc.assert(
    fc.property(headerName, value, (name, one) => {
      const headers = { ...message.headers, [name]: one };
      t.false(verifyWebhook({ ...message, headers }, keys, clock));
    }),
  );
});

test("a v1 signature is not accepted as a v1a one, nor the other way round", (t) => {
  for (const [from, to] of [
    ["v1,", "v1a,"],
    ["v1a,", "v1,"],
  ] as const) {
    const key = from === "v1," ? known.secret : whsk(seed);
    const message = sent(key);
    const signature = String(message.headers["webhook-signature"]).replace(from, to);
    const headers = { ...message.headers, "webhook-signature": signature };
    t.false(
      verifyWebhook({ ...message, headers }, parseKeys(`${known.secret}\n${whsk(seed)}`), clock),
    );
  }
});

test("blank lines and comments in a key file are passed over", (t) => {
  const keys = parseKeys(`# the SOC's\n\n  ${known.secret}  \r\n# new\n${whsk(seed)}\n`);
  t.deepEqual(
    keys.map(({ version }) => version),
    ["v1", "v1a"],
  );
});

test("a wrong key is refused by its line, and never shown", (t) => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["swordfish-and-more", /line 3: expected whsec_ or whsk_ and base64/],
    ["whpk_AAAA", /line 3: expected whsec_ or whsk_/],
    ["whsec_%%%%", /line 3: expected whsec_ or whsk_/],
    [whsec(Buffer.alloc(23, 65)), /line 3: expected 24 to 64 bytes, found 23/],
    [whsec(Buffer.alloc(65, 65)), /line 3: expected 24 to 64 bytes, found 65/],
    [whsk(Buffer.alloc(33, 65)), /line 3: expected 32 or 64 bytes, found 33/],
    [whsk(Buffer.alloc(64, 65)), /line 3: expected its last 32 bytes to be its public key/],
  ];
  for (const [key, message] of wrong) {
    const error = t.throws(() => parseKeys(`# one\n${known.secret}\n${key}`), {
      instanceOf: IntegrityError,
      code: "KEY_INVALID",
      message,
    });
    t.false(`${error.message}${error.hint}`.includes(key.slice(6)));
  }
});

test("a key file without a key is refused", (t) => {
  t.throws(() => parseKeys("# nothing\n\n"), { message: /expected at least one, found none/ });
});

test("a body holds the event's text as it was written, byte for byte", (t) => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      const text = webhookBody("fim.alert.modified", "2026-11-23T03:21:41.123Z", json).toString();
      t.is(
        text,
        `{"type":"fim.alert.modified","timestamp":"2026-11-23T03:21:41.123Z","data":${json}}`,
      );
      t.notThrows(() => JSON.parse(text));
    }),
  );
});

test("each kind of change is sent under its own type", (t) => {
  t.is(webhookType("modified"), "fim.alert.modified");
  t.is(webhookType("unreadable"), "fim.alert.unreadable");
});
