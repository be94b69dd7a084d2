import { IntegrityError } from "../../core/error.ts";
import { hashRecord } from "../../core/record/chain.ts";
import { claimedRange } from "../../core/record/claimed.ts";
import { openCheckpoint } from "../../core/tlog/checkpoint.ts";
import type { Checkpoint } from "../../core/tlog/checkpoint.ts";
import type { NoteKey } from "../../core/tlog/note.ts";
import { append, emptyTree, rootOf } from "../../core/tlog/tree.ts";
import type { RightEdge } from "../../core/tlog/tree.ts";
import type { LogReader, StoredBatch } from "../store/log.ts";
import { printTree } from "./grow.ts";

/** Leaves that are read at once. */
const page = 2048;
const pageOfBatches = 64;

/**
 * Compares the log with its last checkpoint and with itself: the tree of all stored leaves must be the one that was
 * signed and the one that the next record is appended to. Throws CHAIN_BROKEN.
 */
export async function checkLog(log: LogReader, key: NoteKey): Promise<void> {
  const note = await log.checkpoint(key.name);
  const checkpoint = note === undefined ? undefined : openCheckpoint(note, [key]);
  if (note !== undefined && !checkpoint)
    throw new IntegrityError(
      "CHAIN_BROKEN",
      `the store was altered: the last checkpoint of ${key.name} is not signed by this collector's key`,
      { hint: "put the key back into --state; with a new key, give this collector another --name" },
    );
  const tree = await log.tree();
  const signed = checkpoint?.size ?? 0;
  if (tree.size < signed)
    throw altered(`it holds ${tree.size} records, its last checkpoint ${signed}`);
  const built = await build(log, tree.size, checkpoint);
  if (printTree(built) !== printTree(tree))
    throw altered(`its ${tree.size} records do not give the tree that it notes`);
}

/** The tree of the stored leaves. On its way it must be that of the checkpoint. */
async function build(
  log: LogReader,
  size: number,
  checkpoint: Checkpoint | undefined,
): Promise<RightEdge> {
  let tree = emptyTree;
  while (tree.size < size) {
    const leaves = await log.leaves(tree.size, Math.min(page, size - tree.size));
    for (const leaf of leaves) {
      tree = append(tree, leaf).edge;
      if (tree.size === checkpoint?.size && rootOf(tree) !== checkpoint.root)
        throw altered(`its first ${tree.size} records are not those of its last checkpoint`);
    }
    if (leaves.length === 0) throw altered(`record ${tree.size} of its log is missing`);
  }
  return tree;
}

/** Compares the newest stored records with their leaves. Throws CHAIN_BROKEN for the first that differs. */
export async function checkNewest(log: LogReader, count: number): Promise<void> {
  const { size } = await log.tree();
  const leaf = await findAltered(log, Math.max(0, size - count));
  if (leaf !== undefined) throw altered(alteredRecord(leaf));
}

export function alteredRecord(leaf: number): string {
  return `record ${leaf} of its log is not the one that was stored`;
}

/**
 * The leaf of the first stored record that is another than was logged, or is missing from its batch. `pause` is awaited
 * after each page of batches.
 */
export async function findAltered(
  log: LogReader,
  from: number,
  pause?: () => Promise<void>,
): Promise<number | undefined> {
  const { size: to } = await log.tree();
  for (let next = from; ;) {
    const batches = await log.batches({ from: next, to, limit: pageOfBatches });
    for (const batch of batches) {
      const found = await firstAltered(log, batch);
      if (found !== undefined) return found;
    }
    const last = batches.at(-1);
    if (!last) return undefined;
    next = last.leaf + Math.max(last.records.length, 1);
    await pause?.();
  }
}

async function firstAltered(log: LogReader, batch: StoredBatch): Promise<number | undefined> {
  const { leaf, envelope, records } = batch;
  const { first = 1, last = 0 } = claimedRange(envelope) ?? {};
  const count = Math.max(last - first + 1, records.length);
  const leaves = await log.leaves(leaf, count);
  for (let at = 0; at < count; at += 1) {
    const bytes = records[at];
    if (!bytes || hashRecord(bytes) !== leaves[at]) return leaf + at;
  }
  return undefined;
}

function altered(what: string): IntegrityError {
  return new IntegrityError("CHAIN_BROKEN", `the store was altered: ${what}`, {
    hint: "keep it as evidence and restore a backup; agents hold the checkpoints to compare it with",
  });
}
