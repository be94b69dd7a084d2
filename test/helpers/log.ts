import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type {
  LoggedBatch,
  Evidence,
  EvidenceOptions,
} from "../../src/collector/evidence/export.ts";
import { writeEvidence } from "../../src/collector/evidence/export.ts";
import { sealBatch } from "../../src/core/record/batch.ts";
import { genesisHead, hashRecord, link } from "../../src/core/record/chain.ts";
import type { Head, RecordKind } from "../../src/core/record/chain.ts";
import { rawPublicKey } from "../../src/core/record/dsse.ts";
import { sealEnrolment } from "../../src/core/record/enrolment.ts";
import { append, emptyTree } from "../../src/core/tlog/tree.ts";
import type { RightEdge } from "../../src/core/tlog/tree.ts";

const at = "2026-11-27T06:00:00.000Z";

export interface Entry {
  readonly kind: RecordKind;
  readonly body: unknown;
}

type Keys = ReturnType<typeof newKeys>;

export function newKeys() {
  return generateKeyPairSync("ed25519");
}

/** A chain as an agent writes it. */
export class Writer {
  readonly chain: string;
  keys: Keys;
  head: Head;
  readonly #enrolment: string;

  constructor(chain: string, keys: Keys = newKeys()) {
    this.chain = chain;
    const [cluster = "", node = ""] = chain.split("/");
    const facts = { cluster, node, nonce: "", at };
    this.#enrolment = JSON.stringify(sealEnrolment(facts, "token", { ...keys, past: [] }));
    this.keys = keys;
    this.head = genesisHead(rawPublicKey(keys.publicKey));
  }

  /** One batch of these records. */
  batch(...entries: readonly Entry[]): Omit<LoggedBatch, "leaf"> {
    const prev = this.head;
    const linked = entries.map((entry) => {
      const one = link(this.head, this.chain, { at, ...entry });
      this.head = one;
      return one;
    });
    const { chain, head, keys } = this;
    const facts = { chain, first: prev.seq + 1, last: head.seq, prev: prev.hash, head: head.hash };
    return {
      chain,
      branch: 0,
      signer: rawPublicKey(keys.publicKey),
      envelope: JSON.stringify(sealBatch({ ...facts, at }, keys.privateKey)),
      records: linked.map(({ bytes }) => bytes),
      enrolment: this.#enrolment,
    };
  }

  /** The old key's last batch, which names the new key. */
  rekey(keys: Keys): Omit<LoggedBatch, "leaf"> {
    const publicKey = rawPublicKey(keys.publicKey).toString("base64");
    const batch = this.batch({ kind: "rekey", body: { publicKey } });
    this.keys = keys;
    return batch;
  }
}

/** A collector's log in memory: batches in the order of their arrival, and the tree over their records. */
export class TestLog {
  readonly batches: LoggedBatch[] = [];
  readonly #hashes = new Map<string, string>();
  tree: RightEdge = emptyTree;

  add(batch: Omit<LoggedBatch, "leaf">): this {
    this.batches.push({ ...batch, leaf: this.tree.size });
    for (const bytes of batch.records) {
      const { edge, completed } = append(this.tree, hashRecord(bytes));
      for (const { level, index, hash } of completed) this.#hashes.set(`${level}/${index}`, hash);
      this.tree = edge;
    }
    return this;
  }

  evidence(isIn: (batch: LoggedBatch) => boolean = () => true): Evidence {
    return {
      tree: this.tree,
      hashAt: async ({ level, index }) => this.#hashes.get(`${level}/${index}`) ?? "",
      batches: this.batches.filter(isIn),
    };
  }
}

/** The bytes of an evidence file. */
export async function evidenceFile(
  evidence: Evidence,
  key: KeyObject,
  more: Partial<EvidenceOptions> = {},
): Promise<Buffer> {
  const lines: Buffer[] = [];
  await writeEvidence(evidence, { key, origin: "fim-collector/soc", at, ...more }, (line) => {
    lines.push(line);
  });
  return Buffer.concat(lines);
}
