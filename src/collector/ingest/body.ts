import { Buffer } from "node:buffer";
import { batchType } from "../../core/record/chain.ts";
import { parseEnvelope } from "../../core/record/dsse.ts";
import type { Envelope } from "../../core/record/dsse.ts";
import { heartbeatType } from "../../core/record/heartbeat.ts";

/** A signed envelope of a request, and the records that follow it. */
export interface Part {
  readonly kind: "batch" | "heartbeat";
  /** "<cluster>/<node>/<epoch>" as the envelope has it, not verified. */
  readonly chain: string;
  readonly envelope: Envelope;
  /** The line, as received. */
  readonly text: string;
  readonly records: readonly Buffer[];
}

export interface BodyLimits {
  readonly parts: number;
  /** Records of one batch. */
  readonly records: number;
  /** Records of all batches. */
  readonly all: number;
  /** Bytes of one line. */
  readonly line: number;
}

const bodyLimits: BodyLimits = {
  parts: 512,
  records: 1024,
  all: 16 * 1024,
  line: 1024 * 1024,
};

/** The body of POST /v1/batches: NDJSON, of each batch the envelope and then its records. Or what is wrong with it. */
export function parseBody(
  body: Buffer,
  limits: BodyLimits = bodyLimits,
): readonly Part[] | { readonly problem: string } {
  // One by one: the lines of a hostile body take a hundred times as much memory as its bytes.
  const lines = linesOf(body);
  const parts: Part[] = [];
  let number = 1;
  let count = 0;
  for (let { value: line } = lines.next(); line; { value: line } = lines.next()) {
    if (parts.length >= limits.parts) return { problem: `more than ${limits.parts} envelopes` };
    const found = openPart(line, limits);
    if ("problem" in found) return { problem: `line ${number}: ${found.problem}` };
    count += found.count;
    if (count > limits.all) return { problem: `more than ${limits.all} records` };
    const records = takeFrom(lines, found.count);
    if (records.length < found.count)
      return { problem: `line ${number}: ${found.count} records follow, found ${records.length}` };
    if (records.some(({ length }) => length > limits.line))
      return { problem: `a record is longer than ${limits.line} bytes` };
    parts.push({ ...found.part, records });
    number += 1 + found.count;
  }
  return parts.length > 0 ? parts : { problem: "expected an envelope, found nothing" };
}

/** Bytes for which a record counts once. */
const usualRecord = 16 * 1024;

/** What a request counts for its node's rate: each record, one that is long more than once, and each heartbeat. */
export function costOf(parts: readonly Pick<Part, "records">[]): number {
  const costs = parts.map(({ records }) =>
    records.reduce((sum, { length }) => sum + Math.ceil(length / usualRecord), 0),
  );
  return costs.reduce((sum, cost) => sum + Math.max(cost, 1), 0);
}

/** Lines that are not empty. */
function* linesOf(body: Buffer): Generator<Buffer, undefined> {
  for (let from = 0; from < body.length;) {
    const end = body.indexOf(10, from);
    const to = end < 0 ? body.length : end;
    if (to > from) yield body.subarray(from, to);
    from = to + 1;
  }
}

function takeFrom(lines: Generator<Buffer, undefined>, count: number): readonly Buffer[] {
  const taken: Buffer[] = [];
  while (taken.length < count) {
    const { value: line } = lines.next();
    if (!line) break;
    taken.push(line);
  }
  return taken;
}

type Opened =
  | { readonly part: Omit<Part, "records">; readonly count: number }
  | { readonly problem: string };

function openPart(line: Buffer, limits: BodyLimits): Opened {
  if (line.length > limits.line) return { problem: `longer than ${limits.line} bytes` };
  const text = line.toString("utf8");
  const envelope = parseEnvelope(text);
  if (!envelope) return { problem: "expected an envelope" };
  const claimed = claimsOf(envelope);
  if (!claimed) return { problem: "expected a batch or a heartbeat" };
  const { chain, first, last } = claimed;
  if (envelope.payloadType === heartbeatType)
    return { part: { kind: "heartbeat", chain, envelope, text }, count: 0 };
  if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last))
    return { problem: "expected the numbers of a batch's records" };
  const count = Number(last) - Number(first) + 1;
  if (count < 1 || count > limits.records)
    return { problem: `expected 1 to ${limits.records} records in a batch, found ${count}` };
  return { part: { kind: "batch", chain, envelope, text }, count };
}

interface Claims {
  readonly chain: string;
  readonly first?: unknown;
  readonly last?: unknown;
}

function claimsOf({ payloadType, payload }: Envelope): Claims | undefined {
  if (payloadType !== batchType && payloadType !== heartbeatType) return undefined;
  try {
    const value = JSON.parse(Buffer.from(payload, "base64").toString("utf8")) as Partial<Claims>;
    return typeof value?.chain === "string" ? (value as Claims) : undefined;
  } catch {
    return undefined;
  }
}
