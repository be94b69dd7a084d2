import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { keyIdOf, open, rawPublicKey } from "../../core/record/dsse.ts";
import type { Envelope } from "../../core/record/dsse.ts";
import { openCheckpoint } from "../../core/tlog/checkpoint.ts";
import type { Checkpoint } from "../../core/tlog/checkpoint.ts";
import { parseVkey } from "../../core/tlog/note.ts";
import { append, appendSubtree, emptyTree, rootOf } from "../../core/tlog/tree.ts";
import type { RightEdge } from "../../core/tlog/tree.ts";
import { beginChain, readChainLine } from "./chains.ts";
import type { ChainState } from "./chains.ts";
import { evidenceType, parseEndPayload, parseEntry, parseHead } from "./format.ts";
import type { ChainLine, EvidenceHead, WithheldLine } from "./format.ts";
import { splitLines } from "./lines.ts";

/** How much is in the file and sound, or the first fault and its place. */
export type EvidenceReport =
  | {
      readonly ok: true;
      readonly key: string;
      readonly checkpoint: Checkpoint;
      readonly at: string;
      readonly node?: string;
      readonly since?: string;
      readonly chains: number;
      readonly records: number;
      /** Records of the log that are not in the file: only their hashes are. */
      readonly withheld: number;
      /** Records that nodes deleted or never wrote, as their signed records say. */
      readonly pruned: number;
      readonly dropped: number;
      /** Chains without a signer that the last enrolment of their node names: an earlier one did. */
      readonly formerKeys: number;
    }
  | {
      readonly ok: false;
      readonly line: number;
      readonly chain?: string;
      readonly seq?: number;
      readonly fault: string;
    };

interface Fault {
  readonly line?: number;
  readonly chain?: string;
  readonly seq?: number;
  readonly fault: string;
}

/** Verifies an evidence file from its bytes alone. `trusted` is the collector's public key; without it any is accepted. */
export async function verifyEvidence(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
  trusted?: KeyObject,
): Promise<EvidenceReport> {
  const hash = createHash("sha256");
  let reading: Reading | undefined;
  let line = 0;
  for await (const { bytes, isEnded, isTooLong } of splitLines(chunks)) {
    line += 1;
    if (isTooLong) return { ok: false, line, fault: "the line is too long" };
    if (!isEnded) return { ok: false, line, fault: "the file ends in the middle of a line" };
    const step: Reading | Fault = reading
      ? readOn(reading, { bytes, line, digest: () => hash.copy().digest("hex") })
      : begin(bytes, trusted);
    if ("fault" in step) return { ok: false, line, ...step };
    reading = step;
    hash.update(bytes).update("\n");
  }
  if (!reading) return { ok: false, line: 1, fault: "the file is empty" };
  return reading.isWhole
    ? reportOf(reading)
    : { ok: false, line: line + 1, fault: "the file ends before its signature" };
}

interface Reading {
  readonly head: EvidenceHead;
  readonly publicKey: KeyObject;
  readonly checkpoint: Checkpoint;
  readonly tree: RightEdge;
  /** By number; changed as the file is read. */
  readonly chains: ChainState[];
  readonly current?: number;
  readonly records: number;
  readonly isWhole: boolean;
}

function begin(bytes: Buffer, trusted: KeyObject | undefined): Reading | Fault {
  const head = parseHead(bytes);
  if (!head) return { fault: "expected the first line of an evidence file" };
  const key = parseVkey(head.key);
  if (!key) return { fault: "the collector's key cannot be read" };
  const { publicKey } = key;
  if (trusted && !rawPublicKey(publicKey).equals(rawPublicKey(trusted)))
    return { fault: `the file is by the key ${head.key}, which is not trusted` };
  const checkpoint = openCheckpoint(head.checkpoint, [key]);
  if (!checkpoint) return { fault: "the signature of the checkpoint does not hold" };
  return { head, publicKey, checkpoint, tree: emptyTree, chains: [], records: 0, isWhole: false };
}

interface Given {
  readonly bytes: Buffer;
  readonly line: number;
  /** Over all lines before this one. */
  readonly digest: () => string;
}

function readOn(reading: Reading, given: Given): Reading | Fault {
  if (reading.isWhole) return { fault: "the file goes on after its signature" };
  if (reading.current !== undefined) return readBatchLine(reading, reading.current, given);
  const entry = parseEntry(given.bytes);
  switch (entry?.kind) {
    case undefined:
      return { fault: "expected a chain, a batch or the end" };
    case "chain":
      return introduce(reading, entry.line);
    case "batch":
      return beginBatch(reading, entry.line);
    case "withheld":
      return withhold(reading, entry.line);
    case "end":
      return end(reading, entry.envelope, given);
  }
}

function introduce(reading: Reading, line: ChainLine): Reading | Fault {
  const { chains } = reading;
  if (line.chain !== chains.length)
    return { fault: `expected chain number ${chains.length}, found ${line.chain}` };
  const begun = beginChain(line);
  if ("fault" in begun) return { ...begun, chain: line.name };
  chains.push(begun);
  return reading;
}

function beginBatch(
  reading: Reading,
  { leaf, chain }: { readonly leaf: number; readonly chain: number },
): Reading | Fault {
  const name = reading.chains[chain]?.name;
  if (name === undefined) return { fault: `chain number ${chain} was not introduced` };
  const misplaced = misplacedAt(reading, leaf);
  return misplaced ? { ...misplaced, chain: name } : { ...reading, current: chain };
}

function misplacedAt({ tree }: Reading, leaf: number): Fault | undefined {
  return leaf === tree.size
    ? undefined
    : { fault: `expected record ${tree.size} of the log, found ${leaf}` };
}

function withhold(reading: Reading, { leaf, level, hash }: WithheldLine): Reading | Fault {
  const misplaced = misplacedAt(reading, leaf);
  if (misplaced) return misplaced;
  if (leaf % 2 ** level !== 0 || leaf + 2 ** level > reading.checkpoint.size)
    return { fault: `no subtree of level ${level} begins at record ${leaf} of the log` };
  return { ...reading, tree: appendSubtree(reading.tree, { level, hash }).edge };
}

function readBatchLine(reading: Reading, number: number, { bytes, line }: Given): Reading | Fault {
  const { chains, tree, records, current: _, ...rest } = reading;
  const chain = chains[number];
  if (!chain) return { fault: `chain number ${number} was not introduced` };
  const read = readChainLine(chain, bytes, line);
  if ("fault" in read) return { ...read, chain: chain.name };
  chains[number] = read.state;
  const { leaves } = read;
  if (!leaves) return reading;
  const grown = leaves.reduce((edge, leaf) => append(edge, leaf).edge, tree);
  return { ...rest, chains, tree: grown, records: records + leaves.length };
}

function end(reading: Reading, envelope: Envelope, { line, digest }: Given): Reading | Fault {
  const { tree, checkpoint, chains, publicKey } = reading;
  for (const { name, gaps } of chains)
    for (const { line: at, from, to } of gaps)
      return {
        line: at,
        chain: name,
        seq: from,
        fault: `records ${from} to ${to} are missing, and no record says that the node pruned them`,
      };
  if (tree.size !== checkpoint.size)
    return { fault: `the log has ${checkpoint.size} records, the file accounts for ${tree.size}` };
  if (rootOf(tree) !== checkpoint.root)
    return { fault: "the records are not those under the checkpoint" };
  const payload = open(evidenceType, envelope, publicKey);
  const signed = payload && parseEndPayload(payload);
  if (signed?.key !== keyIdOf(publicKey))
    return { fault: "the signature of the file does not hold" };
  if (signed.lines !== line - 1 || signed.digest !== digest())
    return { fault: "the file is not as it was signed" };
  return { ...reading, isWhole: true };
}

function reportOf({ head, checkpoint, chains, records }: Reading): EvidenceReport {
  const { format: _, ...facts } = head;
  const sum = (of: (chain: ChainState) => number): number =>
    chains.reduce((total, chain) => total + of(chain), 0);
  return {
    ok: true,
    ...facts,
    checkpoint,
    chains: chains.length,
    records,
    withheld: checkpoint.size - records,
    pruned: sum(({ pruned }) => pruned),
    dropped: sum(({ dropped }) => dropped),
    formerKeys: sum((chain) => Number(isOfFormerKey(chain))),
  };
}

function isOfFormerKey({ enrolled, reader }: ChainState): boolean {
  return enrolled !== undefined && !enrolled.some((id) => reader.signers.has(id));
}
