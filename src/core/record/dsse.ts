import { Buffer } from "node:buffer";
import { createHash, createPublicKey, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";

/** A DSSE envelope (github.com/secure-systems-lab/dsse, protocol 1.0) with one Ed25519 signature. */
export interface Envelope {
  readonly payloadType: string;
  /** Base64 of the exact payload bytes. */
  readonly payload: string;
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[];
}

/** The bytes that are signed: "DSSEv1" SP len(type) SP type SP len(payload) SP payload. */
export function preAuthEncoding(payloadType: string, payload: Buffer): Buffer {
  const head = `DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `;
  return Buffer.concat([Buffer.from(head), payload]);
}

export function seal(payloadType: string, payload: Buffer, key: KeyObject): Envelope {
  const sig = sign(null, preAuthEncoding(payloadType, payload), key).toString("base64");
  return {
    payloadType,
    payload: payload.toString("base64"),
    signatures: [{ keyid: keyIdOf(createPublicKey(key)), sig }],
  };
}

/**
 * The payload's bytes if a signature by this key verifies, else undefined. The signed type must be the expected one.
 */
export function open(payloadType: string, envelope: Envelope, key: KeyObject): Buffer | undefined {
  if (envelope.payloadType !== payloadType) return undefined;
  const payload = Buffer.from(envelope.payload, "base64");
  const bytes = preAuthEncoding(payloadType, payload);
  const keyid = keyIdOf(key);
  const good = envelope.signatures.some(
    (one) => one.keyid === keyid && verify(null, bytes, key, Buffer.from(one.sig, "base64")),
  );
  return good ? payload : undefined;
}

/** The raw 32 bytes of an Ed25519 public key. */
export function rawPublicKey(key: KeyObject): Buffer {
  const { x } = key.export({ format: "jwk" });
  return Buffer.from(x ?? "", "base64url");
}

export function publicKeyOf(raw: Buffer): KeyObject {
  return createPublicKey({
    format: "jwk",
    key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") },
  });
}

/** Keys are few and their ids are asked for with each batch. */
const keyIds = new WeakMap<KeyObject, string>();

/** "ed25519:" and the first 16 hex digits of SHA-256 over the raw public key. */
export function keyIdOf(key: KeyObject): string {
  const known = keyIds.get(key);
  if (known !== undefined) return known;
  const id = `ed25519:${createHash("sha256").update(rawPublicKey(key)).digest("hex").slice(0, 16)}`;
  keyIds.set(key, id);
  return id;
}

/** Verifying one costs a fifth of a millisecond. */
const mostSignatures = 16;

/** Text -> envelope, or undefined. Keeps nothing else that the text holds. */
export function parseEnvelope(text: string): Envelope | undefined {
  try {
    const { payloadType, payload, signatures } = JSON.parse(text) as Partial<Envelope>;
    const good =
      typeof payloadType === "string" &&
      isBase64(payload) &&
      Array.isArray(signatures) &&
      signatures.length <= mostSignatures &&
      signatures.every((one) => typeof one?.keyid === "string" && isBase64(one.sig));
    if (!good) return undefined;
    return {
      payloadType,
      payload,
      signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig })),
    };
  } catch {
    return undefined;
  }
}

/** The one encoding of its bytes (RFC 4648 §3.5): Buffer ignores stray characters and trailing bits. */
export function isBase64(text: unknown): text is string {
  return typeof text === "string" && Buffer.from(text, "base64").toString("base64") === text;
}
