import { randomBytes } from "node:crypto";
import { link, genesisHead } from "../core/record/chain.ts";
import type { Head, RecordKind } from "../core/record/chain.ts";
import { sealBatch } from "../core/record/batch.ts";
import { rawPublicKey } from "../core/record/dsse.ts";
import { toFinding } from "../core/record/finding.ts";
import type { Alarm } from "../core/record/finding.ts";
import { nextUuidClock, uuidv7 } from "../core/uuid.ts";
import type { UuidClock } from "../core/uuid.ts";
import type { AgentKey } from "../baseline/key.ts";
import { version } from "../node/version.ts";
import { toStored } from "./ingest/columns.ts";
import { pack } from "./store/packed.ts";
import type { NodeKey, Transaction } from "./store/store.ts";

interface OwnChainOptions {
  readonly key: AgentKey;
  /** The collector's name. */
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
}

/** Begins the names of the collectors' own chains, in place of a cluster. */
export const ownCluster = "fim-collector";

/** The collector's own records: its alarms, in a chain that it signs as an agent signs its own. */
export class OwnChain {
  readonly #options: OwnChainOptions;
  #uuids: UuidClock | undefined;

  constructor(options: OwnChainOptions) {
    this.#options = options;
  }

  /** Verifies its records. */
  get key(): NodeKey {
    const { id, publicKey } = this.#options.key;
    return { keyId: id, publicKey: rawPublicKey(publicKey) };
  }

  /** Records an alarm in the transaction that found it. */
  async raise(tx: Transaction, alarm: Alarm, node: number | undefined): Promise<void> {
    const { clock, name } = this.#options;
    const now = clock();
    this.#uuids = nextUuidClock(this.#uuids, now);
    const uid = uuidv7(this.#uuids, randomBytes(8));
    const body = toFinding(alarm, { uid, now, version, collector: name });
    await this.#append(tx, { kind: "collector", body }, { now, node });
  }

  async #append(
    tx: Transaction,
    entry: { readonly kind: RecordKind; readonly body: unknown },
    { now, node }: { readonly now: number; readonly node: number | undefined },
  ): Promise<void> {
    const { key } = this.#options;
    const chain = (await tx.readMeta(metaName(key))) ?? (await this.#begin(tx));
    const head = (await tx.chain(chain))?.head ?? genesisOf(key);
    const at = new Date(now).toISOString();
    const linked = link(head, chain, { at, ...entry });
    const { seq, hash, bytes } = linked;
    const record = { v: 1, chain, seq, prev: head.hash, at, ...entry } as const;
    const batch = { chain, first: seq, last: seq, prev: head.hash, head: hash, at };
    const stored = toStored({ seq, hash, bytes, record }, now);
    await tx.append(
      undefined,
      {
        chain,
        branch: 0,
        envelope: JSON.stringify(sealBatch(batch, key.privateKey)),
        first: seq,
        head: { seq, hash },
        nextKeyId: key.id,
        records: [node === undefined ? stored : { ...stored, about: node }],
        packs: pack([bytes]),
      },
      now,
    );
  }

  async #begin(tx: Transaction): Promise<string> {
    const { key, name } = this.#options;
    const chain = `${ownCluster}/${name}/${randomBytes(8).toString("hex")}`;
    await tx.writeMeta(metaName(key), chain);
    return chain;
  }
}

/** Where the store keeps the public key of each collector that shares it. */
export function collectorKeyName(keyId: string): string {
  return `key of ${keyId}`;
}

/** Several collectors share a store; each has a key and a chain of its own. */
function metaName(key: AgentKey): string {
  return `chain of ${key.id}`;
}

function genesisOf(key: AgentKey): Head {
  return genesisHead(rawPublicKey(key.publicKey));
}
