import { Buffer } from "node:buffer";
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  sign,
  timingSafeEqual,
  verify,
} from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { ChangeKind } from "../change/change.ts";
import { rawPublicKey } from "./dsse.ts";
import { IntegrityError } from "../error.ts";

/** A key of Standard Webhooks 1.0: "v1" is HMAC-SHA256, "v1a" is Ed25519. */
export type WebhookKey =
  | { readonly version: "v1"; readonly secret: Buffer }
  | { readonly version: "v1a"; readonly key: KeyObject };

/** The content that a webhook's signature covers. */
interface WebhookMessage {
  /** The same on every attempt, so that the receiver can drop duplicates. Holds no ".". */
  readonly id: string;
  /** Whole seconds since 1970 of this attempt. */
  readonly timestamp: number;
  /** The exact bytes that are sent. */
  readonly body: Buffer;
}

/** A received request; header names in lower case. */
export interface ReceivedWebhook {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

/** The event type of a change. */
export function webhookType(kind: ChangeKind): `fim.alert.${ChangeKind}` {
  return `fim.alert.${kind}`;
}

/** The body of a webhook. Inserts the event's JSON text as it is, so that its bytes stay the signed ones. */
export function webhookBody(type: string, at: string, eventJson: string): Buffer {
  const head = `{"type":${JSON.stringify(type)},"timestamp":${JSON.stringify(at)}`;
  return Buffer.from(`${head},"data":${eventJson}}`);
}

/** The header webhook-signature: one signature for each key, so that a receiver can change keys at any time. */
export function signatureHeader(message: WebhookMessage, keys: readonly WebhookKey[]): string {
  const bytes = signedBytes(String(message.timestamp), message);
  return keys.map((key) => `${key.version},${signWith(key, bytes).toString("base64")}`).join(" ");
}

/** True when the timestamp is within the tolerance (seconds) and one of the keys made one signature. */
export function verifyWebhook(
  received: ReceivedWebhook,
  keys: readonly WebhookKey[],
  clock: { readonly now: number; readonly tolerance: number },
): boolean {
  const id = received.headers["webhook-id"];
  const timestamp = received.headers["webhook-timestamp"];
  const list = received.headers["webhook-signature"];
  if (typeof id !== "string" || typeof timestamp !== "string" || typeof list !== "string") {
    return false;
  }
  if (id === "" || id.includes(".") || !/^\d{1,12}$/.test(timestamp)) return false;
  if (Math.abs(clock.now - Number(timestamp)) > clock.tolerance) return false;
  const bytes = signedBytes(timestamp, { id, body: received.body });
  // The header is hostile: verify no more signatures than a change of keys needs.
  return list.split(" ", 16).some((one) => keys.some((key) => matches(key, one, bytes)));
}

/** Keys, one a line; skips blank lines and lines that begin with "#". Errors name the line, never the key. */
export function parseKeys(text: string): readonly WebhookKey[] {
  const keys = text.split("\n").flatMap((line, index) => {
    const entry = line.trim();
    return entry === "" || entry.startsWith("#") ? [] : [parseKey(entry, index + 1)];
  });
  if (keys.length === 0) throw invalid("webhook keys: expected at least one, found none");
  return keys;
}

const schemes = /^(whsec|whsk)_([A-Za-z0-9+/]+)(={0,2})$/;

function parseKey(entry: string, line: number): WebhookKey {
  const [, scheme, digits] = schemes.exec(entry) ?? [];
  if (scheme === undefined || digits === undefined) {
    throw invalid(
      `webhook key on line ${line}: expected whsec_ or whsk_ and base64, found something else`,
    );
  }
  const bytes = Buffer.from(digits, "base64");
  if (scheme === "whsk") return { version: "v1a", key: parseSigningKey(bytes, line) };
  if (bytes.length < 24 || bytes.length > 64) {
    throw invalid(`webhook key on line ${line}: expected 24 to 64 bytes, found ${bytes.length}`);
  }
  return { version: "v1", secret: bytes };
}

// RFC 8410 §7: the bytes before the 32-byte seed in an Ed25519 PKCS #8 key.
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");

/** 32 bytes are the seed; 64 are the seed and its public key. */
function parseSigningKey(bytes: Buffer, line: number): KeyObject {
  if (bytes.length !== 32 && bytes.length !== 64) {
    throw invalid(`webhook key on line ${line}: expected 32 or 64 bytes, found ${bytes.length}`);
  }
  const key = createPrivateKey({
    format: "der",
    type: "pkcs8",
    key: Buffer.concat([pkcs8Head, bytes.subarray(0, 32)]),
  });
  const own = rawPublicKey(createPublicKey(key));
  if (bytes.length === 64 && !own.equals(bytes.subarray(32))) {
    throw invalid(
      `webhook key on line ${line}: expected its last 32 bytes to be its public key, found others`,
    );
  }
  return key;
}

function invalid(message: string): IntegrityError {
  return new IntegrityError("KEY_INVALID", message, {
    hint: "make a key with: echo whsec_$(openssl rand -base64 32)",
  });
}

function signedBytes(timestamp: string, message: { readonly id: string; readonly body: Buffer }) {
  return Buffer.concat([Buffer.from(`${message.id}.${timestamp}.`), message.body]);
}

function signWith(key: WebhookKey, bytes: Buffer): Buffer {
  if (key.version === "v1a") return sign(null, bytes, key.key);
  return createHmac("sha256", key.secret).update(bytes).digest();
}

function matches(key: WebhookKey, entry: string, bytes: Buffer): boolean {
  const [version, text] = entry.split(",", 2);
  if (version !== key.version || text === undefined) return false;
  const found = Buffer.from(text, "base64");
  if (key.version === "v1a") return verify(null, bytes, createPublicKey(key.key), found);
  const expected = signWith(key, bytes);
  return found.length === expected.length && timingSafeEqual(found, expected);
}
