import { Buffer } from "node:buffer";
import { createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { batchType, follow, genesisHead } from "./chain.ts";
import type { Batch, ChainFault, Head, ReadRecord } from "./chain.ts";
import { keyIdOf, open, publicKeyOf, seal } from "./dsse.ts";
import type { Envelope } from "./dsse.ts";

export function sealBatch(batch: Omit<Batch, "key">, key: KeyObject): Envelope {
  const { chain, first, last, prev, head, at } = batch;
  const payload = { chain, first, last, prev, head, at, key: keyIdOf(createPublicKey(key)) };
  return seal(batchType, Buffer.from(JSON.stringify(payload)), key);
}

/** How far the walk along a chain has come, and which keys it accepts from there. */
export interface Walk {
  /** Newest first: a key that signed a batch, or that a "rekey" record names, retires the keys after it. */
  readonly keys: readonly KeyObject[];
  /** Key ids accepted before and no longer. */
  readonly retired?: readonly string[];
  /** Absent: nothing read yet. */
  readonly at?: { readonly chain: string; readonly head: Head };
}

/** A sentence about the first fault, and its record. */
export interface BatchFault {
  readonly fault: string;
  readonly seq: number;
}

/** Checks a batch's signature and that it begins where the walk ended. Does not check its records. */
export function openBatch(walk: Walk, envelope: Envelope): { readonly batch: Batch } | BatchFault {
  const seq = (walk.at?.head.seq ?? 0) + 1;
  const keyid = envelope.signatures[0]?.keyid ?? "no key";
  const key = walk.keys.find((one) => keyIdOf(one) === keyid);
  if (!key) {
    const why = walk.retired?.includes(keyid) ? "was replaced before" : "is not trusted";
    return { seq, fault: `the batch is signed by ${keyid}, which ${why}` };
  }
  const payload = open(batchType, envelope, key);
  const batch = payload && parseBatch(payload);
  if (!batch || batch.key !== keyid)
    return { seq, fault: `the signature by ${keyid} does not hold` };
  if (walk.at && batch.first !== seq)
    return { seq, fault: `records are missing: expected ${seq}, found ${batch.first}` };
  if (walk.at && (batch.prev !== walk.at.head.hash || batch.chain !== walk.at.chain))
    return { seq, fault: "the batch does not follow the one before it" };
  // The first record of all is bound to the key that the chain began with.
  if (batch.first === 1 && !walk.keys.some((one) => genesisHash(one) === batch.prev))
    return { seq, fault: "the chain does not begin with a trusted key" };
  return { batch };
}

/** The records of a batch, read. They must be exactly those that its signature covers. */
export function readBatch(
  batch: Batch,
  records: readonly Buffer[],
): readonly ReadRecord[] | BatchFault {
  const start = { seq: batch.first - 1, hash: batch.prev };
  const followed = follow(start, batch.chain, records);
  if ("fault" in followed) return sayFault(followed.fault, batch);
  const { head, read } = followed;
  if (head.seq !== batch.last)
    return { seq: head.seq + 1, fault: `records are missing: expected up to ${batch.last}` };
  if (head.hash !== batch.head) return { seq: head.seq, fault: "the last record was altered" };
  return read;
}

/** The walk after these records, which must be exactly the batch's. */
export function followBatch(
  walk: Walk,
  batch: Batch,
  records: readonly Buffer[],
): Walk | BatchFault {
  const read = readBatch(batch, records);
  return "fault" in read ? read : walkOn(walk, batch, read);
}

/** The walk after the records of a batch, as they were read. */
export function walkOn(walk: Walk, batch: Batch, read: readonly ReadRecord[]): Walk {
  const head = { seq: batch.last, hash: batch.head };
  const keys = keysAfter(walk.keys, batch, read);
  const retired = walk.keys.map(keyIdOf).filter((id) => !keys.some((one) => keyIdOf(one) === id));
  return {
    keys,
    retired: [...(walk.retired ?? []), ...retired],
    at: { chain: batch.chain, head },
  };
}

/** A replaced key counts no more from the next batch on, so a stolen one is worthless. */
export function keysAfter(
  keys: readonly KeyObject[],
  batch: Batch,
  records: readonly ReadRecord[],
): readonly KeyObject[] {
  const accepted = upTo(keys, batch.key);
  const named = records.flatMap(newKeyIn).at(-1);
  if (!named) return accepted;
  const known = upTo(accepted, keyIdOf(named));
  return known.length > 0 ? known : [named];
}

/** This key and the newer ones. Empty: unknown key. */
function upTo(keys: readonly KeyObject[], id: string): readonly KeyObject[] {
  return keys.slice(0, keys.findIndex((one) => keyIdOf(one) === id) + 1);
}

function parseBatch(payload: Buffer): Batch | undefined {
  try {
    const value = JSON.parse(payload.toString("utf8")) as Partial<Batch>;
    const good =
      Number.isSafeInteger(value.first) &&
      Number.isSafeInteger(value.last) &&
      typeof value.chain === "string" &&
      typeof value.prev === "string" &&
      typeof value.head === "string" &&
      typeof value.at === "string" &&
      typeof value.key === "string";
    return good ? (value as Batch) : undefined;
  } catch {
    return undefined;
  }
}

function sayFault({ seq, ...fault }: ChainFault, batch: Batch): BatchFault {
  switch (fault.kind) {
    case "unreadable":
      return { seq, fault: "the record cannot be read" };
    case "sequence":
      return { seq, fault: `expected record ${seq}, found ${fault.found}` };
    case "link":
      // The hash in the next record shows an altered one.
      return seq === batch.first
        ? { seq, fault: "the record does not follow the batch before it" }
        : { seq: seq - 1, fault: "this record or the next was altered" };
  }
}

function genesisHash(key: KeyObject): string {
  const { x } = key.export({ format: "jwk" });
  return genesisHead(Buffer.from(x ?? "", "base64url")).hash;
}

/** A record of kind "rekey", signed by the old key, names the new one: {"publicKey": base64 of the raw key}. */
function newKeyIn({ record }: ReadRecord): KeyObject[] {
  if (record.kind !== "rekey") return [];
  const { publicKey } = (record.body ?? {}) as { publicKey?: unknown };
  const raw = typeof publicKey === "string" ? Buffer.from(publicKey, "base64") : Buffer.alloc(0);
  return raw.length === 32 ? [publicKeyOf(raw)] : [];
}
