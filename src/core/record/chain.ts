import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";

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

/** RFC 6962 §2.1: a leaf's hash is SHA-256(0x00 || bytes). */
export function hashRecord(bytes: Buffer): string {
  return createHash("sha256").update(Buffer.of(0)).update(bytes).digest("hex");
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

const headKeys = "v,chain,seq,prev,at,kind";

/** Bytes -> record. Undefined: not exactly of the form that `link` writes; the body may be any JSON. */
export function parseRecord(bytes: Buffer): ChainRecord | undefined {
  const text = bytes.toString("utf8");
  const mark = text.indexOf(bodyMark);
  if (mark < 0 || !text.endsWith("}")) return undefined;
  const headText = `${text.slice(0, mark)}}`;
  try {
    const head = JSON.parse(headText) as Partial<ChainRecord>;
    const good =
      Object.keys(head).join() === headKeys &&
      head.v === 1 &&
      typeof head.chain === "string" &&
      Number.isSafeInteger(head.seq) &&
      typeof head.prev === "string" &&
      typeof head.at === "string" &&
      typeof head.kind === "string" &&
      JSON.stringify(head) === headText;
    if (!good) return undefined;
    const body: unknown = JSON.parse(text.slice(mark + bodyMark.length, -1));
    return { ...(head as Omit<ChainRecord, "body">), body };
  } catch {
    return undefined;
  }
}
