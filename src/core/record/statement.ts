import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { keyIdOf, open, seal } from "./dsse.ts";
import type { Envelope } from "./dsse.ts";
import { isApprovedMounts } from "./mounts.ts";
import type { ApprovedMounts } from "./mounts.ts";
import { isProgram } from "./program.ts";
import type { ApprovedProgram } from "./program.ts";

export const statementType = "application/vnd.fim-agent.baseline.v1+json";
const anchorType = "application/vnd.fim-agent.anchor.v1+json";

/** The approved state: the payload of a baseline's signature (docs/formats.md). */
export interface Statement {
  readonly v: 1;
  readonly node: string;
  readonly cluster: string;
  /** Rises by one with each signature. */
  readonly counter: number;
  /** Number of signed rows. */
  readonly rows: number;
  /** Lower-case hex, of digestRows. */
  readonly digest: string;
  readonly policy: { readonly name: string; readonly digest: string };
  /** RFC 3339, milliseconds. */
  readonly at: string;
  readonly reason: string;
  /** Key id of the signer. */
  readonly key: string;
  /** SHA-256 (hex) of the previous statement's payload. Absent: the first. */
  readonly previous?: string;
  /** Programs that may write from inside static pods. Absent: none. */
  readonly programs?: readonly ApprovedProgram[];
  /** Mounts at, above and inside watched paths. Absent: the mount table was unreadable. */
  readonly mounts?: ApprovedMounts;
}

/** Kept beside the database, to detect a removed or older database. */
export interface Anchor {
  readonly v: 1;
  /** Of the last statement; 0 before the first one is committed. */
  readonly counter: number;
  readonly digest: string;
  /** SHA-256 (hex) of the last statement's payload. */
  readonly statement: string;
  readonly at: string;
  readonly key: string;
}

export interface RowsDigest {
  readonly rows: number;
  readonly digest: string;
}

/** A row as signed: the bytes of path and row. A string stands for its UTF-8. */
export type SignedRow = readonly [path: Buffer | string, row: Buffer | string];

const chunkSize = 65_536;

/** SHA-256 over u32be length and bytes of each path and row. The rows must come in ascending order of path bytes. */
export function digestRows(rows: Iterable<SignedRow>): RowsDigest {
  const hash = createHash("sha256");
  // One OpenSSL call for each chunk instead of four for each row: a third of the time.
  const chunk = Buffer.allocUnsafe(chunkSize);
  let used = 0;
  let count = 0;
  const put = (data: Buffer | string): void => {
    // A UTF-16 unit takes at most three bytes.
    const most = typeof data === "string" ? 3 * data.length : data.length;
    if (used + 4 + most > chunkSize) {
      hash.update(chunk.subarray(0, used));
      used = 0;
    }
    const from = used + 4;
    if (from + most > chunkSize) {
      const bytes = Buffer.from(data);
      chunk.writeUInt32BE(bytes.length);
      hash.update(chunk.subarray(0, 4)).update(bytes);
      return;
    }
    const size = typeof data === "string" ? chunk.write(data, from) : data.copy(chunk, from);
    chunk.writeUInt32BE(size, used);
    used = from + size;
  };
  for (const [path, row] of rows) {
    put(path);
    put(row);
    count += 1;
  }
  return { rows: count, digest: hash.update(chunk.subarray(0, used)).digest("hex") };
}

export function sha256(data: Buffer | string): string {
  return createHash("sha256").update(data).digest("hex");
}

export function sealStatement(statement: Omit<Statement, "v" | "key">, key: KeyObject): Envelope {
  const { node, cluster, counter, rows, digest, policy, at, reason, previous, programs, mounts } =
    statement;
  const payload = {
    v: 1,
    node,
    cluster,
    counter,
    rows,
    digest,
    policy: { name: policy.name, digest: policy.digest },
    at,
    reason,
    key: keyIdOf(key),
    previous,
    programs,
    mounts,
  };
  return seal(statementType, Buffer.from(JSON.stringify(payload)), key);
}

export function sealAnchor(anchor: Omit<Anchor, "v" | "key">, key: KeyObject): Envelope {
  const { counter, digest, statement, at } = anchor;
  const payload = { v: 1, counter, digest, statement, at, key: keyIdOf(key) };
  return seal(anchorType, Buffer.from(JSON.stringify(payload)), key);
}

/** SHA-256 (hex) of the payload that an envelope carries. */
export function payloadHash(envelope: Envelope): string {
  return sha256(Buffer.from(envelope.payload, "base64"));
}

export type Opened<T> =
  | { readonly kind: "good"; readonly value: T }
  /** None of our keys signed it. */
  | { readonly kind: "foreign"; readonly keyid: string }
  /** It names our key, but that key did not sign these bytes. */
  | { readonly kind: "forged" };

export function openStatement(envelope: Envelope, keys: readonly KeyObject[]): Opened<Statement> {
  return openBy(envelope, keys, { type: statementType, parse: parseStatement });
}

export function openAnchor(envelope: Envelope, keys: readonly KeyObject[]): Opened<Anchor> {
  return openBy(envelope, keys, { type: anchorType, parse: parseAnchor });
}

/** Payload -> statement, or undefined. */
function parseStatement(payload: Buffer): Statement | undefined {
  const value: Partial<Statement> | undefined = parseObject(payload);
  const good =
    value?.v === 1 &&
    typeof value.node === "string" &&
    typeof value.cluster === "string" &&
    Number.isSafeInteger(value.counter) &&
    Number.isSafeInteger(value.rows) &&
    typeof value.digest === "string" &&
    typeof value.policy?.name === "string" &&
    typeof value.policy.digest === "string" &&
    typeof value.at === "string" &&
    typeof value.reason === "string" &&
    typeof value.key === "string" &&
    (value.previous === undefined || typeof value.previous === "string") &&
    (value.programs === undefined ||
      (Array.isArray(value.programs) && value.programs.every(isProgram))) &&
    (value.mounts === undefined || isApprovedMounts(value.mounts));
  return good ? (value as Statement) : undefined;
}

function parseAnchor(payload: Buffer): Anchor | undefined {
  const value: Partial<Anchor> | undefined = parseObject(payload);
  const good =
    value?.v === 1 &&
    Number.isSafeInteger(value.counter) &&
    typeof value.digest === "string" &&
    typeof value.statement === "string" &&
    typeof value.at === "string" &&
    typeof value.key === "string";
  return good ? (value as Anchor) : undefined;
}

function parseObject(payload: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(payload.toString("utf8"));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function openBy<T extends { readonly key: string }>(
  envelope: Envelope,
  keys: readonly KeyObject[],
  format: { readonly type: string; readonly parse: (payload: Buffer) => T | undefined },
): Opened<T> {
  const keyid = envelope.signatures[0]?.keyid;
  if (keyid === undefined) return { kind: "forged" };
  const key = keys.find((one) => keyIdOf(one) === keyid);
  if (!key) return { kind: "foreign", keyid };
  const payload = open(format.type, envelope, key);
  const value = payload && format.parse(payload);
  return value?.key === keyid ? { kind: "good", value } : { kind: "forged" };
}
