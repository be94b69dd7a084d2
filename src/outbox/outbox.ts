import type { Database, Statement } from "better-sqlite3";
import type { KeyObject } from "node:crypto";
import { createPublicKey } from "node:crypto";
import { sealBatch } from "../core/record/batch.ts";
import { genesisHead, link } from "../core/record/chain.ts";
import type { Head, RecordKind } from "../core/record/chain.ts";
import { rawPublicKey } from "../core/record/dsse.ts";
import { IntegrityError } from "../core/error.ts";
import { severities } from "../core/policy/rule.ts";
import type { Severity } from "../core/policy/rule.ts";
import { readMeta, transact } from "../sqlite/open.ts";
import { headKey, parseTail } from "./tail.ts";
import type { Tail } from "./tail.ts";

/** A record to append. Its body is made when its number is known. */
export interface Entry {
  readonly kind: RecordKind;
  readonly severity: Severity;
  readonly body: (seq: number) => unknown;
}

/** The signing key, and the first record of a new chain. */
interface OutboxOptions {
  /** Read in each signing transaction, because another process may have replaced it. */
  readonly key: KeyObject;
  readonly genesis: {
    /** "<cluster>/<node>/<epoch>" */
    readonly chain: string;
    readonly at: string;
    /** {node, cluster, publicKey, version} */
    readonly body: unknown;
  };
}

/** Batches are never larger, so that a receiver can hold one. */
export const maxBatchRecords = 128;

/**
 * Chain and queue in one: links every record to the one before, signs it with its batch, and keeps it until each sink
 * has it. Several processes may append, and one may replace the key: head and key are read for each append.
 */
export class Outbox {
  readonly chain: string;
  readonly #db: Database;
  readonly #options: OutboxOptions;
  readonly #head: Statement<[string], string>;
  readonly #setHead: Statement<[string, string]>;
  readonly #last: Statement<[], number>;
  readonly #insert: Statement<[number, string, number, number, number, Buffer]>;
  readonly #bytes: Statement<[number], Buffer>;
  readonly #batch: Statement<[number, number, string]>;

  constructor(db: Database, options: OutboxOptions) {
    this.#db = db;
    this.#options = options;
    this.#head = db.prepare<[string], string>("SELECT value FROM meta WHERE key = ?").pluck();
    this.#setHead = db.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)");
    this.#last = db.prepare<[], number>("SELECT max(seq) FROM record").pluck();
    this.#insert = db.prepare(
      "INSERT INTO record (seq, kind, severity, size, total, bytes) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#bytes = db.prepare<[number], Buffer>("SELECT bytes FROM record WHERE seq = ?").pluck();
    this.#batch = db.prepare("INSERT INTO batch (last, first, envelope) VALUES (?, ?, ?)");
    this.chain = readMeta(db, "chain") ?? transact(db, () => this.#begin(options));
  }

  /** Links, signs and queues in the caller's transaction: the report is as durable as its change. */
  append(entries: readonly Entry[], at: string): Head {
    if (!this.#db.inTransaction) throw new Error("append without a transaction");
    for (let from = 0; from < entries.length; from += maxBatchRecords)
      this.#append(this.chain, entries.slice(from, from + maxBatchRecords), at);
    return this.head();
  }

  /** The exact bytes of a retained record. */
  bytesOf(seq: number): Buffer {
    const bytes = this.#bytes.get(seq);
    if (!bytes) throw notStored();
    return bytes;
  }

  head(): Head {
    const { seq, hash } = this.#tail();
    return { seq, hash };
  }

  #begin({ key, genesis }: OutboxOptions): string {
    // Another process may have begun it while we waited for the lock.
    const begun = readMeta(this.#db, "chain");
    if (begun !== undefined) return begun;
    const { hash } = genesisHead(rawPublicKey(createPublicKey(key)));
    this.#setHead.run("chain", genesis.chain);
    this.#setHead.run(headKey, JSON.stringify({ seq: 0, hash, total: 0 } satisfies Tail));
    const entry: Entry = { kind: "genesis", severity: "info", body: () => genesis.body };
    this.#append(genesis.chain, [entry], genesis.at);
    return genesis.chain;
  }

  #append(chain: string, entries: readonly Entry[], at: string): void {
    const before = this.#tail();
    let tail = before;
    for (const { kind, severity, body } of entries) {
      const { seq, hash, bytes } = link(tail, chain, { at, kind, body: body(tail.seq + 1) });
      tail = { seq, hash, total: tail.total + bytes.length };
      const grade = severities.indexOf(severity);
      const { changes } = this.#insert.run(seq, kind, grade, bytes.length, tail.total, bytes);
      if (changes !== 1) throw notStored();
    }
    const span = { first: before.seq + 1, last: tail.seq, prev: before.hash, head: tail.hash };
    const envelope = sealBatch({ chain, ...span, at }, this.#options.key);
    this.#batch.run(span.last, span.first, JSON.stringify(envelope));
    this.#setHead.run(headKey, JSON.stringify(tail));
  }

  #tail(): Tail {
    const tail = parseTail(this.#head.get(headKey));
    // Cut-off records leave a gap that verification shows; an older head must not fill it.
    if (tail && tail.seq >= (this.#last.get() ?? 0)) return tail;
    throw new IntegrityError("CHAIN_BROKEN", "chain: its head is older than its last record", {
      hint: "the database was altered: keep the state directory as evidence and start over with another",
    });
  }
}

function notStored(): IntegrityError {
  return new IntegrityError(
    "CHAIN_BROKEN",
    "chain: a record was not stored, and SQLite gave no error",
    {
      hint: "the database was altered: keep the state directory as evidence and start over with another",
    },
  );
}
