import type { RightEdge } from "../../../core/tlog/tree.ts";
import { present } from "../../../core/present.ts";
import type { StoredChain } from "../../../core/record/verdict.ts";
import { toNode } from "../rows.ts";
import type { KeyRow, NodeRow } from "../rows.ts";
import type {
  NewBatch,
  NewCheckpoint,
  NodeKey,
  NodeName,
  NodeNews,
  StoredNode,
  Transaction,
} from "../store.ts";
import { Appending } from "./append.ts";
import { lock } from "./connect.ts";
import type { TransactionSql } from "./connect.ts";
import type { Days } from "./days.ts";

/** Older ones can be made again from the tree. */
const keptCheckpoints = 1000;

/** The writes of one transaction. Its caller begins it, calls `finish` and commits it. */
export class PostgresTransaction implements Transaction {
  readonly #connection: TransactionSql;
  readonly #days: Days;
  readonly #appending: Appending;
  #isOver = false;
  #failure: unknown;

  constructor(sql: TransactionSql, days: Days) {
    this.#connection = sql;
    this.#days = days;
    this.#appending = new Appending(sql);
  }

  /** Stores what waits for the end of the transaction. */
  async finish(): Promise<void> {
    await this.#appending.flush();
    this.#isOver = true;
  }

  /** From now on the connection belongs to others; a work that still runs must not write in their transaction. */
  leave(): void {
    this.#isOver = true;
  }

  /** Why a statement failed that was not awaited. The statements after it fail only because it did. */
  get failure(): unknown {
    return this.#failure;
  }

  get #sql(): TransactionSql {
    if (this.#isOver) throw new Error("the transaction is over");
    return this.#connection;
  }

  async node({ cluster, node: name }: NodeName): Promise<StoredNode | undefined> {
    const sql = this.#sql;
    // Three statements on one way: each sees what was committed before it began, and thus before the lock was free.
    const [, rows, keys] = await Promise.all([
      lock(sql, `node ${cluster}/${name}`),
      sql<NodeRow[]>`SELECT id, cluster, name, key_id, chain, enrolled, heard, heartbeat, baseline
        FROM node WHERE cluster = ${cluster} AND name = ${name}`,
      sql<KeyRow[]>`SELECT node, node_key.key_id, public_key
        FROM node_key JOIN node ON node.id = node_key.node
        WHERE cluster = ${cluster} AND name = ${name} AND retired IS NULL ORDER BY since`,
    ]);
    return rows[0] && toNode(rows[0], keys);
  }

  async enrol(
    name: NodeName,
    key: NodeKey,
    { envelope, former, now }: Parameters<Transaction["enrol"]>[2],
  ): Promise<StoredNode> {
    const [row] = await this.#sql<NodeRow[]>`
      INSERT INTO node (cluster, name, key_id, enrolled, enrolment, heard)
      VALUES (${name.cluster}, ${name.node}, ${key.keyId}, ${now}, ${envelope}, ${now})
      ON CONFLICT (cluster, name)
      DO UPDATE SET chain = CASE node.key_id WHEN excluded.key_id THEN node.chain END,
        key_id = excluded.key_id, enrolled = excluded.enrolled,
        enrolment = excluded.enrolment, heard = excluded.heard
      RETURNING id, cluster, name, key_id, chain, enrolled, heard, heartbeat, baseline`;
    if (!row) throw new Error("an enrolled node is not stored");
    await this.#sql`UPDATE node_key SET retired = ${now} WHERE node = ${row.id} AND retired IS NULL`;
    for (const one of former) await this.#addKey(row.id, one, now);
    await this.replaceKey(row.id, key, now);
    return { ...toNode(row, []), keys: [...former, key] };
  }

  async replaceKey(node: number, key: NodeKey, now: number): Promise<void> {
    await this.#sql`UPDATE node SET key_id = ${key.keyId} WHERE id = ${node}`;
    await this.#addKey(node, key, now);
  }

  async chain(name: string): Promise<StoredChain | undefined> {
    const rows = await this.#sql<{ branch: number; seq: number; hash: string; key_id: string }[]>`
      SELECT branch, seq, hash, key_id FROM chain WHERE name = ${name} ORDER BY branch`;
    const [main, ...branches] = rows;
    if (!main) return undefined;
    return {
      keyId: main.key_id,
      head: { seq: main.seq, hash: main.hash },
      branches: branches.map(({ branch, seq, hash }) => ({ number: branch, head: { seq, hash } })),
    };
  }

  async hashOf(chain: string, seq: number): Promise<string | undefined> {
    const appended = this.#appending.hashOf(chain, seq);
    if (appended !== undefined) return appended;
    const [row] = await this.#sql<{ hash: string }[]>`
      SELECT encode(subtree.hash, 'hex') AS hash
      FROM (SELECT leaf, first FROM batch
        WHERE chain = (SELECT id FROM chain WHERE name = ${chain} AND branch = 0) AND last >= ${seq}
        ORDER BY last LIMIT 1) AS batch
      JOIN subtree ON level = 0 AND place = batch.leaf + ${seq} - batch.first
      WHERE batch.first <= ${seq}`;
    return row?.hash;
  }

  async append(node: number | undefined, batch: NewBatch, now: number): Promise<void> {
    this.#days.expect(now);
    const { chain: name, branch, first, head, nextKeyId } = batch;
    const chain = this.#sql<{ id: number }[]>`
      INSERT INTO chain (node, name, branch, first, seq, hash, key_id, begun)
      VALUES (${node ?? null}, ${name}, ${branch}, ${first}, ${head.seq}, ${head.hash},
        ${nextKeyId}, ${now})
      ON CONFLICT (name, branch)
      DO UPDATE SET seq = excluded.seq, hash = excluded.hash, key_id = excluded.key_id
      RETURNING id`;
    this.#appending.add(present({ batch, chain: this.#idOf(chain), node, now }));
  }

  async hear(node: number, { chain, heartbeat, baseline }: NodeNews, now: number): Promise<void> {
    await this.#sql`UPDATE node SET heard = ${now}, chain = coalesce(${chain ?? null}, chain),
        envelope = coalesce(${heartbeat?.envelope ?? null}, envelope),
        heartbeat = coalesce(${heartbeat?.payload ?? null}, heartbeat),
        baseline = coalesce(${baseline ?? null}, baseline)
      WHERE id = ${node}`;
  }

  async beginAlarm(node: number, what: string, now: number): Promise<boolean> {
    const { count } = await this.#sql`INSERT INTO alarm (node, what, since)
      VALUES (${node}, ${what}, ${now}) ON CONFLICT DO NOTHING`;
    return count > 0;
  }

  async endAlarm(node: number, what: string): Promise<boolean> {
    const { count } = await this.#sql`DELETE FROM alarm WHERE node = ${node} AND what = ${what}`;
    return count > 0;
  }

  async redeem(tokenHash: string, node: string, now: number): Promise<boolean> {
    const { count } = await this.#sql`UPDATE token SET used = ${now}
      WHERE hash = ${tokenHash} AND node = ${node} AND used IS NULL AND expires > ${now}`;
    return count > 0;
  }

  async useOnce(tokenHash: string, node: string, now: number): Promise<boolean> {
    const { count } = await this.#sql`INSERT INTO token (hash, node, expires, used)
      VALUES (${tokenHash}, ${node}, ${now}, ${now}) ON CONFLICT DO NOTHING`;
    return count > 0;
  }

  /** What is read here may be written next: another transaction that reads it waits. */
  async readMeta(key: string): Promise<string | undefined> {
    const sql = this.#sql;
    const [, rows] = await Promise.all([
      lock(sql, `meta ${key}`),
      sql<{ value: string }[]>`SELECT value FROM meta WHERE key = ${key}`,
    ]);
    return rows[0]?.value;
  }

  async writeMeta(key: string, value: string): Promise<void> {
    await this.#sql`INSERT INTO meta (key, value) VALUES (${key}, ${value})
      ON CONFLICT (key) DO UPDATE SET value = excluded.value`;
  }

  async tree(): Promise<RightEdge> {
    await this.#appending.flush();
    return await this.#appending.tree();
  }

  async addCheckpoint({ origin, size, note }: NewCheckpoint, now: number): Promise<void> {
    await this.#sql`INSERT INTO checkpoint (origin, size, at, note)
      VALUES (${origin}, ${size}, ${now}, ${note}) ON CONFLICT DO NOTHING`;
    await this.#sql`DELETE FROM checkpoint WHERE origin = ${origin} AND size <= (
      SELECT size FROM checkpoint WHERE origin = ${origin}
      ORDER BY size DESC LIMIT 1 OFFSET ${keptCheckpoints})`;
  }

  async #addKey(node: number, { keyId, publicKey }: NodeKey, now: number): Promise<void> {
    await this.#sql`INSERT INTO node_key (node, key_id, public_key, since)
      VALUES (${node}, ${keyId}, ${publicKey}, ${now})
      ON CONFLICT (node, key_id) DO UPDATE SET retired = NULL`;
  }

  /** The id that a statement returns. It need not be awaited before the next one: the server runs them in order. */
  #idOf(returning: Promise<readonly { readonly id: number }[]>): Promise<number> {
    const id = returning.then(([row]) => {
      if (!row) throw new Error("a chain is not stored");
      return row.id;
    });
    id.catch((error: unknown) => {
      this.#failure ??= error;
    });
    return id;
  }
}
