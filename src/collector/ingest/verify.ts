import { isUtf8 } from "node:buffer";
import { keysAfter, openBatch, readBatch } from "../../core/record/batch.ts";
import type { Batch, ReadRecord } from "../../core/record/chain.ts";
import { keyIdOf, publicKeyOf, rawPublicKey } from "../../core/record/dsse.ts";
import type { NodeKey, StoredNode } from "../store/store.ts";
import type { Part } from "./body.ts";

export interface VerifiedBatch {
  readonly batch: Batch;
  readonly read: readonly ReadRecord[];
  /** The key that signs from here on, if a record names another one. */
  readonly nextKey?: NodeKey;
}

/** A batch whose signature, by any key of the node, and whose records hold. */
export function verifyPart(
  node: StoredNode,
  part: Part,
): VerifiedBatch | { readonly fault: string } {
  const keys = node.keys.map(({ publicKey }) => publicKeyOf(publicKey));
  const opened = openBatch({ keys }, part.envelope);
  if ("fault" in opened) return opened;
  const { batch } = opened;
  if (batch.chain !== part.chain) return { fault: "the batch names another chain" };
  const read = readBatch(batch, part.records);
  if ("fault" in read) return read;
  const odd = read.find((one) => !isCanonical(one));
  if (odd) return { fault: `record ${odd.seq} is not of the form that agents write` };
  const [next] = keysAfter(
    keys.filter((key) => keyIdOf(key) === batch.key),
    batch,
    read,
  );
  if (!next || keyIdOf(next) === batch.key) return { batch, read };
  return { batch, read, nextKey: { keyId: keyIdOf(next), publicKey: rawPublicKey(next) } };
}

const recordKeys = "v,chain,seq,prev,at,kind,body";

/** Exactly the text that JSON gives for it, with an object as its body: readers may cut the body out of the bytes. */
function isCanonical({ bytes, record }: ReadRecord): boolean {
  const { body } = record;
  if (typeof body !== "object" || body === null || Array.isArray(body)) return false;
  if (Object.keys(record).join() !== recordKeys || !isUtf8(bytes)) return false;
  return JSON.stringify(record) === bytes.toString("utf8");
}
