import { Buffer } from "node:buffer";
import { hash } from "node:crypto";

export type RecordKind =
  | "genesis"
  | "alert"
  | "agent"
  | "baseline"
  | "approval"
  | "dropped"
  | "rekey"
  | "collector";

/** The content of a record; its bytes are this JSON, kept as first written. */
export interface ChainRecord {
  readonly v: 1;
  /** "<cluster>/<node>/<epoch>" */
  readonly chain: string;
  readonly seq: number;
  /** Lower-case hex of the previous record's hash; of the genesis, of the public key's hash. */
  readonly prev: string;
  /** RFC 3339, milliseconds. */
  readonly at: string;
  readonly kind: RecordKind;
  readonly body: unknown;
}

export interface Head {
  readonly seq: number;
  readonly hash: string;
}

export interface Linked extends Head {
  readonly bytes: Buffer;
}

/** The payload of the signature over one commit's records (docs/formats.md). */
export interface Batch {
  readonly chain: string;
  readonly first: number;
  readonly last: number;
  readonly prev: string;
  readonly head: string;
  readonly at: string;
  readonly key: string;
}

export const batchType = "application/vnd.fim-agent.batch.v1+json";

/** Begins with the byte 0. Kept: for a record of the usual size a buffer of its own costs as much as its hash. */
const prefixed = Buffer.alloc(16 * 1024);

/** RFC 6962 §2.1: a leaf's hash is SHA-256(0x00 || bytes). */
export function hashRecord(bytes: Buffer): string {
  const size = bytes.length + 1;
  const whole = size > prefixed.length ? Buffer.alloc(size) : prefixed.subarray(0, size);
  bytes.copy(whole, 1);
  return hash("sha256", whole, "hex");
}

/** Makes the next record of a chain. */
export function link(
  head: Head,
  chain: string,
  entry: { readonly at: string; readonly kind: RecordKind; readonly body: unknown },
): Linked {
  const seq = head.seq + 1;
  const record: ChainRecord = { v: 1, chain, seq, prev: head.hash, ...entry };
  const bytes = Buffer.from(JSON.stringify(record));
  return { seq, hash: hashRecord(bytes), bytes };
}

/** The head before the first record: bound to the agent's public key (raw 32 bytes). */
export function genesisHead(rawPublicKey: Buffer): Head {
  return { seq: 0, hash: hashRecord(rawPublicKey) };
}

export type ChainFault =
  | { readonly kind: "unreadable"; readonly seq: number }
  | { readonly kind: "sequence"; readonly seq: number; readonly found: number }
  | { readonly kind: "link"; readonly seq: number };

/** A record that was read, with its bytes. */
export interface ReadRecord extends Linked {
  readonly record: ChainRecord;
}

/** Follows the records from a head. Returns the new head and what was read, or the first fault. */
export function follow(
  head: Head,
  chain: string,
  records: Iterable<Buffer>,
): { readonly head: Head; readonly read: readonly ReadRecord[] } | { readonly fault: ChainFault } {
  const read: ReadRecord[] = [];
  let at = head;
  for (const bytes of records) {
    const seq = at.seq + 1;
    const record = parseRecord(bytes);
    if (!record) return { fault: { kind: "unreadable", seq } };
    if (record.seq !== seq) return { fault: { kind: "sequence", seq, found: record.seq } };
    if (record.prev !== at.hash || record.chain !== chain) return { fault: { kind: "link", seq } };
    at = { seq, hash: hashRecord(bytes) };
    read.push({ ...at, bytes, record });
  }
  return { head: at, read };
}

/** Ends everything that `link` writes before a body; no string in it can hold these characters unescaped. */
const bodyMark = ',"body":';

/** The text of a record's body as first written. */
export function bodyText(bytes: Buffer): string {
  return bytes.toString("utf8", bytes.indexOf(bodyMark) + bodyMark.length, bytes.length - 1);
}

/** All before a body, as `link` writes it: no name in it has a character that JSON escapes. */
const headForm =
  /^\{"v":1,"chain":"([\w./-]+)","seq":([1-9]\d{0,15}),"prev":"([0-9a-f]{64})","at":"([\w:.-]+)","kind":"([a-z]+)","body":/;

/** Bytes -> record. Undefined: not exactly of the form that `link` writes; the body may be any JSON. */
export function parseRecord(bytes: Buffer): ChainRecord | undefined {
  const text = bytes.toString("utf8");
  const [head, chain = "", number, prev = "", at = "", kind] = headForm.exec(text) ?? [];
  const seq = Number(number);
  if (head === undefined || !Number.isSafeInteger(seq) || !text.endsWith("}")) return undefined;
  try {
    const body: unknown = JSON.parse(text.slice(head.length, -1));
    return { v: 1, chain, seq, prev, at, kind: kind as RecordKind, body };
  } catch {
    return undefined;
  }
}
