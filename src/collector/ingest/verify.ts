import { Buffer, isUtf8 } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { keysAfter, openBatch, readBatch } from "../../core/record/batch.ts";
import type { Batch, ReadRecord } from "../../core/record/chain.ts";
import { keyIdOf, publicKeyOf, rawPublicKey } from "../../core/record/dsse.ts";
import { present } from "../../core/present.ts";
import type { NewRecord, NodeKey } from "../store/store.ts";
import { pack } from "../store/packed.ts";
import type { Pack } from "../store/packed.ts";
import type { Part } from "./body.ts";
import { toStored } from "./columns.ts";

/** The batches of one request, with the keys by which their node may sign. Plain data: it goes to other threads. */
export interface VerifyJob {
  readonly keys: readonly NodeKey[];
  readonly parts: readonly Pick<Part, "chain" | "envelope" | "records">[];
  /** Milliseconds since 1970. */
  readonly received: number;
}

export interface VerifiedBatch {
  readonly batch: Batch;
  /** One for each record of the part, in order. */
  readonly records: readonly NewRecord[];
  readonly packs: readonly Pack[];
  /** The key that signs from here on, if a record names another one. */
  readonly nextKey?: NodeKey;
  /** JSON body of its last record of kind "baseline". */
  readonly baseline?: string;
}

/** How the verification of one batch ended, and `keysName` of the keys that it was verified with. */
export interface Verified {
  readonly keys: string;
  readonly result: VerifiedBatch | { readonly fault: string };
}

/** Verifies the batches in order, up to the first that does not hold. A key that a batch names signs the next ones. */
export function verifyParts({ keys, parts, received }: VerifyJob): readonly Verified[] {
  const verified: Verified[] = [];
  let known = keys;
  let signers = keys.map(toKeyObject);
  for (const part of parts) {
    const result = verifyPart(signers, part, received);
    verified.push({ keys: keysName(known), result });
    if ("fault" in result) break;
    const { nextKey } = result;
    if (!nextKey || known.some(({ keyId }) => keyId === nextKey.keyId)) continue;
    known = [...known, nextKey];
    signers = [...signers, toKeyObject(nextKey)];
  }
  return verified;
}

/** From another thread, a Buffer arrives as a Uint8Array. */
function toKeyObject({ publicKey }: NodeKey): KeyObject {
  return publicKeyOf(Buffer.from(publicKey));
}

/** Two sets of keys with one name are equal. */
export function keysName(keys: readonly NodeKey[]): string {
  return keys
    .map(({ keyId }) => keyId)
    .toSorted()
    .join();
}

/** A batch whose signature, by any of the keys, and whose records hold. */
function verifyPart(
  keys: readonly KeyObject[],
  part: VerifyJob["parts"][number],
  received: number,
): VerifiedBatch | { readonly fault: string } {
  const opened = openBatch({ keys }, part.envelope);
  if ("fault" in opened) return opened;
  const { batch } = opened;
  if (batch.chain !== part.chain) return { fault: "the batch names another chain" };
  const read = readBatch(batch, part.records);
  if ("fault" in read) return read;
  const odd = read.find((one) => !isProper(one));
  if (odd) return { fault: `record ${odd.seq} is not of the form that agents write` };
  const baseline = read.findLast(({ record }) => record.kind === "baseline");
  return present({
    batch,
    records: read.map((one) => toStored(one, received)),
    packs: pack(read.map(({ bytes }) => bytes)),
    nextKey: nextKeyOf(keys, batch, read),
    baseline: baseline && JSON.stringify(baseline.record.body),
  });
}

function nextKeyOf(
  keys: readonly KeyObject[],
  batch: Batch,
  read: readonly ReadRecord[],
): NodeKey | undefined {
  const signer = keys.filter((key) => keyIdOf(key) === batch.key);
  const [next] = keysAfter(signer, batch, read);
  if (!next || keyIdOf(next) === batch.key) return undefined;
  return { keyId: keyIdOf(next), publicKey: rawPublicKey(next) };
}

/** Its body is an object, and its bytes are the UTF-8 of its text. Alarms are the collector's to write. */
function isProper({ bytes, record }: ReadRecord): boolean {
  const { body, kind } = record;
  const isObject = typeof body === "object" && body !== null && !Array.isArray(body);
  return isObject && kind !== "collector" && isUtf8(bytes);
}
