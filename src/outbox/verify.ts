import type { Database } from "better-sqlite3";
import type { KeyObject } from "node:crypto";
import { followBatch, openBatch } from "../core/record/batch.ts";
import type { Walk } from "../core/record/batch.ts";
import { parseRecord } from "../core/record/chain.ts";
import type { Head } from "../core/record/chain.ts";
import { parseEnvelope } from "../core/record/dsse.ts";
import { inSnapshot, readMeta } from "../sqlite/open.ts";
import { headKey, parseTail } from "./tail.ts";

/** The result of a verification: how much is there and sound, or the first fault. */
export type ChainReport =
  | {
      readonly ok: true;
      readonly chain: string;
      readonly records: number;
      readonly first: number;
      readonly last: number;
      readonly head: Head;
    }
  | { readonly ok: false; readonly seq: number; readonly fault: string };

interface BatchRow {
  readonly first: number;
  readonly last: number;
  readonly envelope: string;
}

interface RecordRow {
  readonly seq: number;
  readonly kind: string;
  readonly severity: number;
  readonly size: number;
  readonly bytes: Buffer;
}

/** Walks every retained batch and record: signatures, order, hashes, and the noted end. */
export function verifyChain(db: Database, keys: readonly KeyObject[]): ChainReport {
  return inSnapshot(db, () => walkBatches(db, keys));
}

function walkBatches(db: Database, keys: readonly KeyObject[]): ChainReport {
  const batches = db.prepare<[], BatchRow>("SELECT first, last, envelope FROM batch ORDER BY last");
  const pruned = Number(readMeta(db, "pruned") ?? "0");
  if (!Number.isSafeInteger(pruned) || pruned < 0)
    return fault(1, "first retained record number is missing");
  const first = pruned + 1;
  let walk: Walk = { keys };
  let next = first;
  let noted = 0;
  for (const row of batches.iterate()) {
    if (row.first !== next)
      return fault(next, `records are missing: expected ${next}, found ${row.first}`);
    const step = checkRow(db, walk, row);
    if ("fault" in step) return fault(step.seq, step.fault);
    walk = step.walk;
    noted = step.pruned ?? noted;
    next = row.last + 1;
  }
  if (noted !== pruned)
    return fault(
      first,
      `records up to ${pruned} are gone, but signed as pruned are those up to ${noted}`,
    );
  return checkEnd(db, walk, first);
}

interface Step {
  readonly walk: Walk;
  /** The last number that a record of this batch reports as pruned. */
  readonly pruned?: number;
}

function checkRow(db: Database, walk: Walk, row: BatchRow): Step | { fault: string; seq: number } {
  const envelope = parseEnvelope(row.envelope);
  if (!envelope) return { seq: row.first, fault: "the batch's envelope cannot be read" };
  const opened = openBatch(walk, envelope);
  if ("fault" in opened) return { seq: row.first, fault: opened.fault };
  const { batch } = opened;
  if (batch.first !== row.first || batch.last !== row.last)
    return { seq: row.first, fault: "the batch is stored under other numbers than it was signed" };
  const records = db
    .prepare<[number, number], RecordRow>(
      "SELECT seq, kind, severity, size, bytes FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq",
    )
    .all(row.first, row.last);
  const bytes = records.map((record) => record.bytes);
  const step = followBatch(walk, batch, bytes);
  if ("fault" in step) return step;
  const mislabelled = records.find((one) => !isLabelled(one));
  if (mislabelled)
    return {
      seq: mislabelled.seq,
      fault: "the record is stored under another kind, severity or size",
    };
  const pruned = records.map(prunedIn).findLast((through) => through !== undefined);
  return { walk: step, ...(pruned !== undefined && { pruned }) };
}

function prunedIn({ kind, bytes }: RecordRow): number | undefined {
  if (kind !== "agent") return undefined;
  const { event, through } = (parseRecord(bytes)?.body ?? {}) as Readonly<Record<string, unknown>>;
  return event === "pruned" && typeof through === "number" ? through : undefined;
}

/**
 * The columns beside a record's bytes are unsigned and decide what is found and sent: they must agree with the bytes.
 */
function isLabelled({ kind, severity, size, bytes }: RecordRow): boolean {
  const record = parseRecord(bytes);
  const { severity_id: id } = (record?.body ?? {}) as { severity_id?: unknown };
  const isAsGrave = typeof id !== "number" || id === severity + 1;
  return record?.kind === kind && size === bytes.length && isAsGrave;
}

function checkEnd(db: Database, { at }: Walk, first: number): ChainReport {
  const tail = parseTail(readMeta(db, headKey));
  const chain = readMeta(db, "chain");
  if (!at || !tail || chain === undefined) return fault(first, "there is no chain");
  const { head } = at;
  if (at.chain !== chain) return fault(first, `expected chain ${chain}, found ${at.chain}`);
  if (tail.seq !== head.seq)
    return fault(head.seq + 1, `the chain ends at ${head.seq}, expected ${tail.seq}`);
  if (tail.hash !== head.hash) return fault(head.seq, "the last record is not the chain's head");
  const count = db.prepare<[], number>("SELECT count(*) FROM record").pluck().get() ?? 0;
  const records = head.seq - first + 1;
  if (count !== records)
    return fault(head.seq + 1, `there are ${count} records, signed are ${records}`);
  return { ok: true, chain, records, first, last: head.seq, head };
}

function fault(seq: number, sentence: string): ChainReport {
  return { ok: false, seq, fault: sentence };
}
