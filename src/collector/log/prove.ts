import type { HashAt } from "../../core/tlog/proof.ts";
import { proveConsistency, proveInclusion } from "../../core/tlog/proof.ts";
import { printHashes, printTlogProof } from "../../core/tlog/proof-text.ts";
import { IntegrityError } from "../../core/error.ts";
import type { LogReader } from "../store/log.ts";
import type { Checkpoints, SignedCheckpoint } from "./checkpoints.ts";

/** Reads a subtree that is complete, so it must be stored. */
export function hashAtOf(log: LogReader): HashAt {
  return async (place) => {
    const hash = await log.hashAt(place);
    if (hash !== undefined) return hash;
    throw new IntegrityError(
      "CHAIN_BROKEN",
      `the store was altered: subtree ${place.level}/${place.index} of its log is missing`,
      { hint: "restore it from a backup; agents hold the checkpoints to compare it with" },
    );
  };
}

/** That the record of an alert is in the log, as text. Undefined: there is no such record. */
export async function proofOfAlert(
  log: LogReader,
  checkpoints: Checkpoints,
  alertId: number,
): Promise<string | undefined> {
  const leaf = await log.leafOf(alertId);
  if (leaf === undefined) return undefined;
  const { size, note } = await checkpoints.covering(leaf);
  return printTlogProof(leaf, await proveInclusion(leaf, size, hashAtOf(log)), note);
}

/** That the log of the checkpoint goes on from its first records. Undefined: it has fewer. */
export async function consistencyFrom(
  log: LogReader,
  older: number,
  { size }: SignedCheckpoint,
): Promise<readonly string[] | undefined> {
  if (older > size) return undefined;
  return printHashes(await proveConsistency(older, size, hashAtOf(log)));
}
