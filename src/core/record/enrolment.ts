import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { keyIdOf, open, publicKeyOf, rawPublicKey, seal } from "./dsse.ts";
import type { Envelope } from "./dsse.ts";

/** A node's request to be known by its key. The signature proves that it holds the private key. */
export interface Enrolment {
  readonly v: 1;
  readonly node: string;
  readonly cluster: string;
  /** Base64 of the raw Ed25519 public key. */
  readonly publicKey: string;
  /** Given by the collector a moment ago. */
  readonly nonce: string;
  /** SHA-256 of the token that comes with the request, hex; empty without one. */
  readonly token: string;
  /** RFC 3339, milliseconds. */
  readonly at: string;
  /** Base64 of the node's former keys, which signed the beginning of its chain. Newest first. */
  readonly former: readonly string[];
}

const enrolmentType = "application/vnd.fim-agent.enrolment.v1+json";

interface EnrolmentKeys {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** Newest first. */
  readonly past: readonly KeyObject[];
}

export function tokenDigest(token: string): string {
  return token === "" ? "" : createHash("sha256").update(token).digest("hex");
}

export function sealEnrolment(
  facts: Pick<Enrolment, "node" | "cluster" | "nonce" | "at">,
  token: string,
  keys: EnrolmentKeys,
): Envelope {
  const { node, cluster, nonce, at } = facts;
  const publicKey = rawPublicKey(keys.publicKey).toString("base64");
  const enrolment: Enrolment = {
    v: 1,
    node,
    cluster,
    publicKey,
    nonce,
    token: tokenDigest(token),
    at,
    former: keys.past.map((one) => rawPublicKey(one).toString("base64")),
  };
  return seal(enrolmentType, Buffer.from(JSON.stringify(enrolment)), keys.privateKey);
}

/** The request and its key, if the key that it names signed it. */
export function openEnrolment(
  envelope: Envelope,
): { readonly enrolment: Enrolment; readonly key: KeyObject; readonly keyId: string } | undefined {
  const claimed = parse(Buffer.from(envelope.payload, "base64"));
  const raw = Buffer.from(claimed?.publicKey ?? "", "base64");
  if (!claimed || raw.length !== 32) return undefined;
  const key = publicKeyOf(raw);
  if (!open(enrolmentType, envelope, key)) return undefined;
  return { enrolment: claimed, key, keyId: keyIdOf(key) };
}

const mostFormer = 100;
const texts = ["node", "cluster", "publicKey", "nonce", "token", "at"] as const;

function parse(payload: Buffer): Enrolment | undefined {
  try {
    const value = JSON.parse(payload.toString("utf8")) as Readonly<Record<string, unknown>>;
    const { former } = value;
    const good =
      value["v"] === 1 &&
      texts.every((name) => typeof value[name] === "string") &&
      Array.isArray(former) &&
      former.length <= mostFormer &&
      former.every((one) => typeof one === "string" && Buffer.from(one, "base64").length === 32);
    return good ? (value as unknown as Enrolment) : undefined;
  } catch {
    return undefined;
  }
}
