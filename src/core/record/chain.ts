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

/** Bytes -> record, or undefined. */
export function parseRecord(bytes: Buffer): ChainRecord | undefined {
  try {
    const value = JSON.parse(bytes.toString("utf8")) as Partial<ChainRecord>;
    const good =
      value.v === 1 &&
      typeof value.chain === "string" &&
      Number.isSafeInteger(value.seq) &&
      typeof value.prev === "string" &&
      typeof value.at === "string" &&
      typeof value.kind === "string";
    return good ? (value as ChainRecord) : undefined;
  } catch {
    return undefined;
  }
}
