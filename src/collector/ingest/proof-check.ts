import { openBatch, readBatch } from "../../core/record/batch.ts";
import { hashRecord } from "../../core/record/chain.ts";
import { publicKeyOf } from "../../core/record/dsse.ts";
import type { Envelope } from "../../core/record/dsse.ts";
import type { StoredProof } from "../store/store.ts";

/** A stored record with its batch. Plain data: it goes to another thread. */
export interface ProofCheck extends Pick<StoredProof, "seq" | "hash" | "first"> {
  /** All records of the batch. */
  readonly records: readonly Uint8Array[];
  readonly envelope?: Envelope;
  /** Raw Ed25519 key by whose id the batch is signed. Absent: no key of the node has this id. */
  readonly publicKey?: Uint8Array;
}

/** Why a record does not hold: its hash, the links of its batch, or the signature. Undefined: it holds. */
export function faultOf(check: ProofCheck): string | undefined {
  const { seq, hash, first, records, envelope, publicKey } = check;
  if (!envelope || !publicKey) return "the batch is signed by a key that is not this node's";
  const opened = openBatch({ keys: [publicKeyOf(Buffer.from(publicKey))] }, envelope);
  if ("fault" in opened) return opened.fault;
  const read = readBatch(opened.batch, records.map(asBuffer));
  if ("fault" in read) return read.fault;
  const record = records[seq - first];
  return record && hashRecord(asBuffer(record)) === hash ? undefined : "the stored hash is another";
}

/** A Buffer arrives from another thread as a Uint8Array. */
export function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}
