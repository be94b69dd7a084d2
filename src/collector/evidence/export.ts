import { Buffer } from "node:buffer";
import { createHash, createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { keyIdOf, parseEnvelope, seal } from "../../core/record/dsse.ts";
import { present } from "../../core/present.ts";
import { signCheckpoint } from "../../core/tlog/checkpoint.ts";
import { noteKey, printVkey } from "../../core/tlog/note.ts";
import type { HashAt } from "../../core/tlog/proof.ts";
import { rootOf, subtreesOf } from "../../core/tlog/tree.ts";
import type { RightEdge } from "../../core/tlog/tree.ts";
import { evidenceFormat, evidenceType } from "./format.ts";
import type { BatchLine, ChainLine, EvidenceEnd, EvidenceHead, WithheldLine } from "./format.ts";

/** A batch as it was received, and its place in the log. */
export interface LoggedBatch {
  /** Index of its first record in the tree. */
  readonly leaf: number;
  readonly chain: string;
  readonly branch: number;
  /** Raw public key that signed it. */
  readonly signer: Buffer;
  /** Envelope of the node's last enrolment. Absent: the chain is the collector's own. */
  readonly enrolment?: string;
  readonly envelope: string;
  readonly records: readonly Buffer[];
}

export interface Evidence {
  /** The tree of all records. */
  readonly tree: RightEdge;
  readonly hashAt: HashAt;
  /** Some or all batches of the tree, in the order of their leaves. */
  readonly batches: AsyncIterable<LoggedBatch> | Iterable<LoggedBatch>;
}

export interface EvidenceOptions {
  /** The collector's private key. */
  readonly key: KeyObject;
  /** Of its checkpoints. */
  readonly origin: string;
  /** RFC 3339, milliseconds. */
  readonly at: string;
  readonly node?: string;
  readonly since?: string;
}

/** Writes an evidence file (docs/formats.md). `write` may wait for its reader. */
export async function writeEvidence(
  { tree, hashAt, batches }: Evidence,
  options: EvidenceOptions,
  write: (line: Buffer) => void,
): Promise<void> {
  const file = new EvidenceFile(write);
  file.json(headOf(tree, options));
  const chains = new Map<string, number>();
  let leaf = 0;
  const withhold = async (until: number): Promise<void> => {
    for (const place of subtreesOf({ from: leaf, size: until - leaf })) {
      file.json({ leaf, level: place.level, hash: await hashAt(place) } satisfies WithheldLine);
      leaf += 2 ** place.level;
    }
  };
  for await (const batch of batches) {
    await withhold(batch.leaf);
    const known = chains.get(`${batch.branch} ${batch.chain}`);
    const chain = known ?? chains.size;
    if (known === undefined) file.json(chainLine(chain, batch));
    chains.set(`${batch.branch} ${batch.chain}`, chain);
    file.json({ leaf, chain } satisfies BatchLine);
    file.line(Buffer.from(batch.envelope));
    for (const record of batch.records) file.line(record);
    leaf += batch.records.length;
  }
  await withhold(tree.size);
  file.end(options.key);
}

function headOf(tree: RightEdge, { key, origin, at, node, since }: EvidenceOptions): EvidenceHead {
  const checkpoint = signCheckpoint({ origin, size: tree.size, root: rootOf(tree) }, key);
  const vkey = printVkey(noteKey(origin, createPublicKey(key)));
  return present({ format: evidenceFormat, key: vkey, checkpoint, at, node, since } as const);
}

function chainLine(chain: number, batch: LoggedBatch): ChainLine {
  const { chain: name, branch, signer } = batch;
  const enrolment = parseEnvelope(batch.enrolment ?? "");
  return present({ chain, name, branch, publicKey: signer.toString("base64"), enrolment });
}

/** Lines that are counted and hashed, and at last signed. */
class EvidenceFile {
  readonly #write: (line: Buffer) => void;
  readonly #hash = createHash("sha256");
  #lines = 0;

  constructor(write: (line: Buffer) => void) {
    this.#write = write;
  }

  json(value: object): void {
    this.line(Buffer.from(JSON.stringify(value)));
  }

  line(bytes: Buffer): void {
    const line = Buffer.concat([bytes, Buffer.of(10)]);
    this.#hash.update(line);
    this.#lines += 1;
    this.#write(line);
  }

  end(key: KeyObject): void {
    const end: EvidenceEnd = {
      lines: this.#lines,
      digest: this.#hash.copy().digest("hex"),
      key: keyIdOf(createPublicKey(key)),
    };
    this.json(seal(evidenceType, Buffer.from(JSON.stringify(end)), key));
  }
}
