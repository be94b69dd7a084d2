import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { openBatch, readBatch, walkOn } from "./batch.ts";
import type { BatchFault, Walk } from "./batch.ts";
import type { Batch, ReadRecord } from "./chain.ts";
import { parseEnvelope } from "./dsse.ts";

/** How far an exported chain was read: of each batch its envelope on a line, then each of its records on one. */
export interface ChainReader {
  readonly chain: string;
  readonly walk: Walk;
  /** Key ids that signed a batch, which the hash chain and the rekey records join. */
  readonly signers: ReadonlySet<string>;
  /** Number of the first record. */
  readonly first?: number;
  /** A batch whose records are not complete yet. */
  readonly open?: { readonly batch: Batch; readonly records: Buffer[] };
  /** The records of a batch that the last line completed. */
  readonly complete?: readonly ReadRecord[];
}

/** Begins with the first batch, which one of these keys signed; newest first. */
export function readChain(chain: string, keys: readonly KeyObject[]): ChainReader {
  return { chain, walk: { keys }, signers: new Set() };
}

/** The reader after one more line, without its line feed, or the first fault. */
export function readLine(reader: ChainReader, line: Buffer): ChainReader | BatchFault {
  const { open, complete: _, ...rest } = reader;
  if (!open) return readEnvelope(rest, line.toString("utf8"));
  const { batch, records } = open;
  records.push(line);
  if (records.length <= batch.last - batch.first) return reader;
  const complete = readBatch(batch, records);
  if ("fault" in complete) return complete;
  const walk = walkOn(reader.walk, batch, complete);
  return { ...rest, walk, first: rest.first ?? batch.first, complete };
}

/** The number of the record that the next line should hold, or that its batch should begin with. */
export function nextSeq({ walk, open }: ChainReader): number {
  return open ? open.batch.first + open.records.length : (walk.at?.head.seq ?? 0) + 1;
}

function readEnvelope(reader: ChainReader, line: string): ChainReader | BatchFault {
  const seq = nextSeq(reader);
  const envelope = parseEnvelope(line);
  if (!envelope) return { seq, fault: "expected a batch's envelope" };
  const opened = openBatch(reader.walk, envelope);
  if ("fault" in opened) return opened;
  const { batch } = opened;
  if (batch.chain !== reader.chain)
    return { seq, fault: `expected chain ${reader.chain}, found ${batch.chain}` };
  const signers = new Set([...reader.signers, batch.key]);
  return { ...reader, signers, open: { batch, records: [] } };
}
