import { Buffer } from "node:buffer";
import { parseEnvelope } from "../../core/record/dsse.ts";
import type { Envelope } from "../../core/record/dsse.ts";

/** The lines of an evidence file (docs/formats.md, "Evidence file"). */
export const evidenceFormat = "fim-collector/export/1";
/** Type of the envelope that ends it. */
export const evidenceType = "application/vnd.fim-collector.export.v1+json";

/** The first line. */
export interface EvidenceHead {
  readonly format: typeof evidenceFormat;
  /** Verifier key of the collector. */
  readonly key: string;
  /** Signed note over the tree of all records. */
  readonly checkpoint: string;
  /** RFC 3339, milliseconds. */
  readonly at: string;
  /** "<cluster>/<node>", if only its records are in the file. */
  readonly node?: string;
  /** RFC 3339, if only records that were received from then on are in the file. */
  readonly since?: string;
}

/** Introduces a chain before its first batch. */
export interface ChainLine {
  /** Numbered from 0, in order. */
  readonly chain: number;
  readonly name: string;
  readonly branch: number;
  /** Base64 of the raw key that signed the first batch in the file. */
  readonly publicKey: string;
  /** The signed request by which the node enrolled last. Absent: the chain is the collector's own. */
  readonly enrolment?: Envelope;
}

/** Comes before a batch: its envelope and its records follow. */
export interface BatchLine {
  /** Index of its first record in the tree. */
  readonly leaf: number;
  readonly chain: number;
}

/** Stands for records that are not in the file: a complete subtree. */
export interface WithheldLine {
  readonly leaf: number;
  readonly level: number;
  readonly hash: string;
}

/** Payload of the last line, which is an envelope by the collector's key. */
export interface EvidenceEnd {
  /** Number of the lines before it. */
  readonly lines: number;
  /** SHA-256 over their bytes, hex. */
  readonly digest: string;
  readonly key: string;
}

export type Entry =
  | { readonly kind: "chain"; readonly line: ChainLine }
  | { readonly kind: "batch"; readonly line: BatchLine }
  | { readonly kind: "withheld"; readonly line: WithheldLine }
  | { readonly kind: "end"; readonly envelope: Envelope };

type Fields = Readonly<Record<string, unknown>>;

export function parseHead(line: Buffer): EvidenceHead | undefined {
  return parse(line, (value): EvidenceHead | undefined => {
    const { format, key, checkpoint, at, node, since } = value;
    if (format !== evidenceFormat || !areTexts([key, checkpoint, at])) return undefined;
    if (!areTexts([node ?? "", since ?? ""])) return undefined;
    return written<EvidenceHead>({ format, key, checkpoint, at, node, since });
  });
}

/** A line between batches. */
export function parseEntry(line: Buffer): Entry | undefined {
  return parseBatch(line) ?? parseWithheld(line) ?? parseChain(line) ?? parseEnd(line);
}

function parseBatch(bytes: Buffer): Entry | undefined {
  const line = parse(bytes, ({ leaf, chain }) =>
    areCounts([leaf, chain]) ? written<BatchLine>({ leaf, chain }) : undefined,
  );
  return line && { kind: "batch", line };
}

function parseWithheld(bytes: Buffer): Entry | undefined {
  const line = parse(bytes, ({ leaf, level, hash }) =>
    areCounts([leaf, level]) && Number(level) < 53 && isDigest(hash)
      ? written<WithheldLine>({ leaf, level, hash })
      : undefined,
  );
  return line && { kind: "withheld", line };
}

function parseChain(bytes: Buffer): Entry | undefined {
  const line = parse(bytes, ({ chain, name, branch, publicKey, enrolment }) => {
    if (!areCounts([chain, branch]) || !areTexts([name, publicKey])) return undefined;
    if (Buffer.from(String(publicKey), "base64").length !== 32) return undefined;
    const envelope = enrolment === undefined ? undefined : parseEnvelope(JSON.stringify(enrolment));
    if (enrolment !== undefined && !envelope) return undefined;
    return written<ChainLine>({ chain, name, branch, publicKey, enrolment });
  });
  return line && { kind: "chain", line };
}

function parseEnd(bytes: Buffer): Entry | undefined {
  const line = parse(bytes, ({ payloadType, payload, signatures }) => {
    if (payloadType !== evidenceType) return undefined;
    const envelope = parseEnvelope(JSON.stringify({ payloadType, payload, signatures }));
    const [one] = envelope?.signatures ?? [];
    return envelope && one && { ...envelope, signatures: [{ keyid: one.keyid, sig: one.sig }] };
  });
  return line && { kind: "end", envelope: line };
}

export function parseEndPayload(payload: Buffer): EvidenceEnd | undefined {
  return parse(payload, ({ lines, digest, key }) =>
    areCounts([lines]) && isDigest(digest) && areTexts([key])
      ? written<EvidenceEnd>({ lines, digest, key })
      : undefined,
  );
}

/** Reads a line that is written in one way only: the same value printed again gives the same bytes. */
function parse<Line extends object>(
  bytes: Buffer,
  read: (value: Fields) => Line | undefined,
): Line | undefined {
  try {
    const value = JSON.parse(bytes.toString("utf8")) as Fields;
    const line = read(value);
    return line && Buffer.from(JSON.stringify(line)).equals(bytes) ? line : undefined;
  } catch {
    return undefined;
  }
}

/** Of checked members; those that are undefined are not printed. */
function written<Line extends object>(line: Readonly<Record<keyof Line, unknown>>): Line {
  return line as Line;
}

function areCounts(values: readonly unknown[]): boolean {
  return values.every((value) => Number.isSafeInteger(value) && Number(value) >= 0);
}

function areTexts(values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === "string");
}

function isDigest(value: unknown): boolean {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}
