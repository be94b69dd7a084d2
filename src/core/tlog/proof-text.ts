import { Buffer } from "node:buffer";
import { isBase64 } from "../record/dsse.ts";
import type { Proof } from "./proof.ts";

/** No tree of a safe number of leaves needs more. */
const mostHashes = 64;

export function printHashes(proof: Proof): readonly string[] {
  return proof.map((hash) => Buffer.from(hash, "hex").toString("base64"));
}

/** Hashes in base64, as a collector sends them. Undefined: it is something else. */
export function parseHashes(value: unknown): Proof | undefined {
  if (!Array.isArray(value) || value.length > mostHashes) return undefined;
  const hashes = value.map((one) =>
    isBase64(one) ? Buffer.from(one, "base64").toString("hex") : "",
  );
  return hashes.every(({ length }) => length === 64) ? hashes : undefined;
}

/** A proof that anyone can check offline: c2sp.org/tlog-proof@v1. The note is the checkpoint, verbatim. */
export function printTlogProof(index: number, proof: Proof, note: string): string {
  const lines = ["c2sp.org/tlog-proof@v1", `index ${index}`, ...printHashes(proof)];
  return `${lines.join("\n")}\n\n${note}`;
}
