import { Buffer } from "node:buffer";
import type { BatchFault } from "../../core/record/batch.ts";
import type { ReadRecord } from "../../core/record/chain.ts";
import { claimedRange } from "../../core/record/claimed.ts";
import { keyIdOf, publicKeyOf } from "../../core/record/dsse.ts";
import type { Envelope } from "../../core/record/dsse.ts";
import { openEnrolment } from "../../core/record/enrolment.ts";
import { numberAt, textAt } from "../../core/record/fields.ts";
import { nextSeq, readChain, readLine } from "../../core/record/reader.ts";
import type { ChainReader } from "../../core/record/reader.ts";
import { ownCluster } from "../own-chain.ts";
import type { ChainLine } from "./format.ts";

/** Twice what a collector accepts in one request. */
const mostBatchBytes = 64 * 1024 * 1024;

/** Records that the node no longer had when the collector asked for them. */
interface Gap {
  /** Of the batch after it. */
  readonly line: number;
  readonly from: number;
  readonly to: number;
}

/** One chain or branch of an evidence file, as far as it was read. */
export interface ChainState {
  readonly name: string;
  readonly reader: ChainReader;
  /** Ids of the keys that the node enrolled with last. Absent: the chain is a collector's own. */
  readonly enrolled?: readonly string[];
  /** Line of the envelope of the batch that is being read. */
  readonly batchLine: number;
  /** Bytes of that batch so far: its lines are kept until it is complete. */
  readonly batchBytes: number;
  /** Not yet explained by a record that says they were pruned. */
  readonly gaps: readonly Gap[];
  /** How many records pruning and dropping took, as signed records say. */
  readonly pruned: number;
  readonly dropped: number;
}

export interface ChainFault extends BatchFault {
  readonly line: number;
}

/** A chain that no record is known of yet, or why its introduction does not hold. */
export function beginChain(line: ChainLine): ChainState | { readonly fault: string } {
  const { name, publicKey, enrolment } = line;
  const enrolled = enrolment ? enrolledKeys(name, enrolment) : undefined;
  if (enrolled && "fault" in enrolled) return enrolled;
  if (!enrolled && !name.startsWith(`${ownCluster}/`))
    return { fault: "the chain comes without an enrolment, and is no collector's own" };
  const reader = readChain(name, [publicKeyOf(Buffer.from(publicKey, "base64"))]);
  const none = { batchLine: 0, batchBytes: 0, gaps: [], pruned: 0, dropped: 0 };
  return { name, reader, ...none, ...(enrolled && { enrolled }) };
}

/** Key ids of the enrolment that a chain's node signed. */
function enrolledKeys(
  name: string,
  envelope: Envelope,
): readonly string[] | { readonly fault: string } {
  const opened = openEnrolment(envelope);
  if (!opened) return { fault: "the enrolment is not signed by the key that it names" };
  const { cluster, node, former } = opened.enrolment;
  if (!name.startsWith(`${cluster}/${node}/`))
    return { fault: `the enrolment is of node ${cluster}/${node}` };
  return [opened.keyId, ...former.map((one) => keyIdOf(publicKeyOf(Buffer.from(one, "base64"))))];
}

/** The chain after one more line of a batch. `leaves`: hashes of the records of a batch that is now complete. */
export function readChainLine(
  state: ChainState,
  bytes: Buffer,
  line: number,
): { readonly state: ChainState; readonly leaves?: readonly string[] } | ChainFault {
  const { open } = state.reader;
  const begun = open ? state : skipGap(state, bytes, line);
  const batchBytes = begun.batchBytes + bytes.length;
  if (batchBytes > mostBatchBytes)
    return { seq: nextSeq(begun.reader), line, fault: "the batch is larger than any is" };
  const reader = readLine(begun.reader, bytes);
  if ("fault" in reader) return { ...reader, line: lineOf(begun, reader.seq, line) };
  const next = { ...begun, reader, batchBytes };
  const { complete } = reader;
  if (!complete) return { state: next };
  return { state: count(next, complete), leaves: complete.map(({ hash }) => hash) };
}

/** A batch further on begins a new walk with the same keys; its gap must be explained later. */
function skipGap(state: ChainState, bytes: Buffer, line: number): ChainState {
  const { walk, ...rest } = state.reader;
  const begun = { ...state, batchLine: line, batchBytes: 0 };
  const from = nextSeq(state.reader);
  const first = claimedRange(bytes.toString("utf8"))?.first;
  if (!walk.at || first === undefined || first <= from) return begun;
  const { at: _, ...keys } = walk;
  const gaps = [...state.gaps, { line, from, to: first - 1 }];
  return { ...begun, reader: { ...rest, walk: keys }, gaps };
}

function lineOf({ batchLine, reader }: ChainState, seq: number, line: number): number {
  const { open } = reader;
  return open && seq >= open.batch.first
    ? Math.min(batchLine + 1 + seq - open.batch.first, line)
    : line;
}

function count(state: ChainState, records: readonly ReadRecord[]): ChainState {
  let { gaps, pruned, dropped } = state;
  for (const { record } of records) {
    const { kind, body } = record;
    if (kind === "dropped") dropped += countAt(body, "count");
    if (kind !== "agent" || textAt(body, "event") !== "pruned") continue;
    const through = countAt(body, "through");
    const explained = gaps.filter(({ to }) => to <= through);
    for (const { from, to } of explained) pruned += to - from + 1;
    gaps = gaps.filter(({ to }) => to > through);
  }
  return { ...state, gaps, pruned, dropped };
}

function countAt(body: unknown, name: string): number {
  const value = numberAt(body, name) ?? 0;
  return Number.isSafeInteger(value) && value > 0 ? value : 0;
}
