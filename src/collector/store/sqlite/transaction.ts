import type { Database } from "better-sqlite3";
import { Statements } from "../../../sqlite/statements.ts";
import type { StoredChain } from "../../../core/record/verdict.ts";
import type { RightEdge } from "../../../core/tlog/tree.ts";
import { grow, parseTree, printTree, treeKey } from "../../log/grow.ts";
import type {
  NewBatch,
  NewCheckpoint,
  NewRecord,
  NodeKey,
  NodeName,
  NodeNews,
  StoredNode,
  Transaction,
} from "../store.ts";
import { insertAlerts } from "./insert-alerts.ts";
import { nodeColumns, packRows, toNode } from "../rows.ts";
import type { KeyRow, NodeRow } from "../rows.ts";

/** About as many of an alert's row and of its places in the indexes. */
const indexedBytes = 1000;

/** Older ones can be made again from the tree. */
const keptCheckpoints = 1000;

/** The writes of one transaction. Its caller begins and commits it. */
export class SqliteTransaction implements Transaction {
  readonly #statements: Statements;
  #appended = 0;

  constructor(db: Database) {
    this.#statements = new Statements(db);
  }

  /** Bytes of the records that were appended since the last call. */
  takeAppended(): number {
    const bytes = this.#appended;
    this.#appended = 0;
    return bytes;
  }

  async node({ cluster, node }: NodeName): Promise<StoredNode | undefined> {
    return this.#node("cluster = ? AND name = ?", cluster, node);
  }

  async enrol(
    name: NodeName,
    key: NodeKey,
    { envelope, former, now }: Parameters<Transaction["enrol"]>[2],
  ): Promise<StoredNode> {
    this.#run(
      `INSERT INTO node (cluster, name, key_id, enrolled, enrolment, heard) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (cluster, name)
       DO UPDATE SET chain = CASE key_id WHEN excluded.key_id THEN chain END,
         key_id = excluded.key_id, enrolled = excluded.enrolled,
         enrolment = excluded.enrolment, heard = excluded.heard`,
      [name.cluster, name.node, key.keyId, now, envelope, now],
    );
    const node = this.#node("cluster = ? AND name = ?", name.cluster, name.node);
    if (!node) throw new Error("an enrolled node is not stored");
    this.#run("UPDATE node_key SET retired = ? WHERE node = ? AND retired IS NULL", [now, node.id]);
    for (const one of former) this.#addKey(node.id, one, now);
    await this.replaceKey(node.id, key, now);
    return { ...node, keys: [...former, key] };
  }

  async replaceKey(node: number, key: NodeKey, now: number): Promise<void> {
    this.#run("UPDATE node SET key_id = ? WHERE id = ?", [key.keyId, node]);
    this.#addKey(node, key, now);
  }

  async chain(name: string): Promise<StoredChain | undefined> {
    const rows = this.#statements
      .prepare<{ branch: number; seq: number; hash: string; key_id: string }>(
        "SELECT branch, seq, hash, key_id FROM chain WHERE name = ? ORDER BY branch",
      )
      .all(name);
    const [main, ...branches] = rows;
    if (!main) return undefined;
    return {
      keyId: main.key_id,
      head: { seq: main.seq, hash: main.hash },
      branches: branches.map(({ branch, seq, hash }) => ({ number: branch, head: { seq, hash } })),
    };
  }

  async hashOf(chain: string, seq: number): Promise<string | undefined> {
    return this.#statements
      .prepare<{ hash: Buffer }>(
        `SELECT subtree.hash
       FROM (SELECT leaf, first FROM batch
         WHERE chain = (SELECT id FROM chain WHERE name = @chain AND branch = 0) AND last >= @seq
         ORDER BY last LIMIT 1) AS batch
       JOIN subtree ON level = 0 AND place = batch.leaf + @seq - batch.first
       WHERE batch.first <= @seq`,
      )
      .get({ chain, seq })
      ?.hash.toString("hex");
  }

  async append(node: number | undefined, batch: NewBatch, now: number): Promise<void> {
    const chain = this.#statements
      .prepare<{ id: number }>(
        `INSERT INTO chain (node, name, branch, first, seq, hash, key_id, begun)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (name, branch)
       DO UPDATE SET seq = excluded.seq, hash = excluded.hash, key_id = excluded.key_id
       RETURNING id`,
      )
      .get(
        node ?? null,
        batch.chain,
        batch.branch,
        batch.first,
        batch.head.seq,
        batch.head.hash,
        batch.nextKeyId,
        now,
      );
    if (!chain) throw new Error("a chain is not stored");
    const leaf = this.#log(batch.records);
    const { first, head, envelope, packs } = batch;
    this.#run(
      "INSERT INTO batch (leaf, chain, first, last, received, envelope) VALUES (?, ?, ?, ?, ?, ?)",
      [leaf, chain.id, first, head.seq, now, envelope],
    );
    const rows = packRows(packs, leaf + 1).map(({ id, bytes }) => [id, bytes]);
    this.#statements.insertRows("INSERT INTO record (id, bytes)", rows);
    const packed = packs.reduce((sum, { bytes }) => sum + bytes.length, 0);
    this.#appended += packed + batch.records.length * indexedBytes;
    const alerts = batch.records.flatMap(({ alert, hash, about }, index) =>
      alert ? [{ record: leaf + index + 1, hash, alert, node: about ?? node, now }] : [],
    );
    insertAlerts(this.#statements, alerts);
  }

  async hear(node: number, { chain, heartbeat, baseline }: NodeNews, now: number): Promise<void> {
    this.#run(
      `UPDATE node SET heard = ?, chain = coalesce(?, chain), envelope = coalesce(?, envelope),
         heartbeat = coalesce(?, heartbeat), baseline = coalesce(?, baseline) WHERE id = ?`,
      [
        now,
        chain ?? null,
        heartbeat?.envelope ?? null,
        heartbeat?.payload ?? null,
        baseline ?? null,
        node,
      ],
    );
  }

  async beginAlarm(node: number, what: string, now: number): Promise<boolean> {
    const sql = "INSERT INTO alarm (node, what, since) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    return this.#run(sql, [node, what, now]) > 0;
  }

  async endAlarm(node: number, what: string): Promise<boolean> {
    return this.#run("DELETE FROM alarm WHERE node = ? AND what = ?", [node, what]) > 0;
  }

  async redeem(tokenHash: string, node: string, now: number): Promise<boolean> {
    const sql =
      "UPDATE token SET used = ? WHERE hash = ? AND node = ? AND used IS NULL AND expires > ?";
    return this.#run(sql, [now, tokenHash, node, now]) > 0;
  }

  async useOnce(tokenHash: string, node: string, now: number): Promise<boolean> {
    const sql =
      "INSERT INTO token (hash, node, expires, used) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    return this.#run(sql, [tokenHash, node, now, now]) > 0;
  }

  async readMeta(key: string): Promise<string | undefined> {
    return this.#readMeta(key);
  }

  async writeMeta(key: string, value: string): Promise<void> {
    this.#writeMeta(key, value);
  }

  async tree(): Promise<RightEdge> {
    return parseTree(this.#readMeta(treeKey));
  }

  async addCheckpoint({ origin, size, note }: NewCheckpoint, now: number): Promise<void> {
    const sql =
      "INSERT INTO checkpoint (origin, size, at, note) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    this.#run(sql, [origin, size, now, note]);
    this.#run(
      `DELETE FROM checkpoint WHERE origin = ? AND size <= (SELECT size FROM checkpoint
         WHERE origin = ? ORDER BY size DESC LIMIT 1 OFFSET ?)`,
      [origin, origin, keptCheckpoints],
    );
  }

  /** Appends the records to the log. Returns the leaf of the first. */
  #log(records: readonly NewRecord[]): number {
    const before = parseTree(this.#readMeta(treeKey));
    const { tree, completed } = grow(
      before,
      records.map(({ hash }) => hash),
    );
    this.#statements.insertRows(
      "INSERT INTO subtree (level, place, hash)",
      // In the order of the table: each of these is beside the one before it.
      completed
        .toSorted((a, b) => a.level - b.level || a.index - b.index)
        .map(({ level, index, hash }) => [level, index, Buffer.from(hash, "hex")]),
    );
    this.#writeMeta(treeKey, printTree(tree));
    return before.size;
  }

  #readMeta(key: string): string | undefined {
    return this.#statements
      .prepare<{ value: string }>("SELECT value FROM meta WHERE key = ?")
      .get(key)?.value;
  }

  #writeMeta(key: string, value: string): void {
    this.#run("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [key, value]);
  }

  #addKey(node: number, { keyId, publicKey }: NodeKey, now: number): void {
    this.#run(
      "INSERT INTO node_key (node, key_id, public_key, since) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET retired = NULL",
      [node, keyId, publicKey, now],
    );
  }

  #node(where: string, ...values: readonly unknown[]): StoredNode | undefined {
    const row = this.#statements
      .prepare<NodeRow>(`SELECT ${nodeColumns} FROM node WHERE ${where}`)
      .get(...values);
    if (!row) return undefined;
    // Sorted here: for a few rows, SQLite's sorter takes longer than all the rest.
    const keys = this.#statements
      .prepare<KeyRow & { readonly since: number }>(
        "SELECT node, key_id, public_key, since FROM node_key WHERE node = ? AND retired IS NULL",
      )
      .all(row.id)
      .toSorted((a, b) => a.since - b.since);
    return toNode(row, keys);
  }

  #run(sql: string, values: readonly unknown[]): number {
    return this.#statements.prepare(sql).run(...values).changes;
  }
}
