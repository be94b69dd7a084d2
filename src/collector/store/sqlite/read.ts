import type { Database } from "better-sqlite3";
import { Statements } from "../../../sqlite/statements.ts";
import type {
  AlertQuery,
  Comment,
  NodeKey,
  NodeName,
  StoredAlert,
  StoredNode,
  StoredProof,
} from "../store.ts";
import { nodeColumns, recordsOf, toAlerts, toKey, toNode } from "../rows.ts";
import type { AlertRow, KeyRow, NodeRow, PackRow, ProofRow } from "../rows.ts";

const alertSelect = `SELECT alert.record AS id, alert.uid, node.cluster, node.name AS node, alert.type,
    alert.severity, alert.change, alert.path, alert.rule, alert.incident, alert.pod, alert.program, alert.at,
    alert.received, alert.acknowledged,
    (SELECT max(id) FROM record WHERE id <= alert.record) AS pack
  FROM alert LEFT JOIN node ON node.id = alert.node`;

/** What people and the watchdog read, over a connection that writes nothing. */
export class SqliteReader {
  readonly #db: Database;
  readonly #statements: Statements;

  constructor(db: Database) {
    this.#db = db;
    this.#statements = new Statements(db);
  }

  nodes(ids?: readonly number[]): readonly StoredNode[] {
    const wanted = ids ? JSON.stringify(ids) : null;
    const keys = Map.groupBy(
      this.#statements
        .prepare<KeyRow>(
          `SELECT node, key_id, public_key FROM node_key WHERE retired IS NULL
             AND (@wanted IS NULL OR node IN (SELECT value FROM json_each(@wanted))) ORDER BY since`,
        )
        .all({ wanted }),
      ({ node }) => node,
    );
    return this.#statements
      .prepare<NodeRow>(
        `SELECT ${nodeColumns} FROM node
         WHERE @wanted IS NULL OR id IN (SELECT value FROM json_each(@wanted))
         ORDER BY cluster, name`,
      )
      .all({ wanted })
      .map((row) => toNode(row, keys.get(row.id) ?? []));
  }

  pulses(): readonly { readonly id: number; readonly heard: number }[] {
    return this.#statements
      .prepare<{ id: number; heard: number }>("SELECT id, heard FROM node")
      .all();
  }

  everyKeyOf({ cluster, node }: NodeName): readonly NodeKey[] {
    return this.#statements
      .prepare<KeyRow>(
        `SELECT node, node_key.key_id, public_key FROM node JOIN node_key ON node_key.node = node.id
         WHERE cluster = ? AND name = ? ORDER BY since`,
      )
      .all(cluster, node)
      .map(toKey);
  }

  /** Records of a query that has no filter. */
  records({ before, after, limit }: AlertQuery): readonly number[] {
    return this.#statements
      .prepare<number>(
        `SELECT record FROM alert WHERE record > ? AND record < ?
         ORDER BY record ${after === undefined ? "DESC" : "ASC"} LIMIT ?`,
      )
      .pluck()
      .all(after ?? 0, before ?? Number.MAX_SAFE_INTEGER, limit);
  }

  /** The alerts of these records, in the order of the query. */
  alerts(records: readonly number[], { after }: AlertQuery): readonly StoredAlert[] {
    const order = after === undefined ? "DESC" : "ASC";
    const sql = `${alertSelect} WHERE alert.record IN (SELECT value FROM json_each(?))
      ORDER BY alert.record ${order}`;
    return this.#withBytes(this.#statements.prepare<AlertRow>(sql).all(JSON.stringify(records)));
  }

  alert(uid: string): StoredAlert | undefined {
    const row = this.#statements.prepare<AlertRow>(`${alertSelect} WHERE alert.uid = ?`).get(uid);
    return row && this.#withBytes([row])[0];
  }

  comments(alertId: number): readonly Comment[] {
    return this.#statements
      .prepare<{ at: number; user: string; acknowledges: number; text: string }>(
        "SELECT at, user, acknowledges, text FROM comment WHERE record = ? ORDER BY id",
      )
      .all(alertId)
      .map((row) => ({ ...row, acknowledges: row.acknowledges === 1 }));
  }

  alarms(): readonly { node: number; what: string; since: number }[] {
    return this.#statements
      .prepare<{ node: number; what: string; since: number }>("SELECT node, what, since FROM alarm")
      .all();
  }

  proof(alertId: number): StoredProof | undefined {
    const found = this.#statements
      .prepare<ProofRow>(
        `SELECT chain.name AS chain, chain.branch, batch.first + @id - 1 - batch.leaf AS seq,
           lower(hex(subtree.hash)) AS hash, batch.envelope, batch.first, batch.last, batch.leaf
         FROM batch JOIN chain ON chain.id = batch.chain
           JOIN subtree ON subtree.level = 0 AND subtree.place = @id - 1
         WHERE batch.leaf = (SELECT max(leaf) FROM batch WHERE leaf < @id)
           AND batch.leaf + batch.last - batch.first >= @id - 1`,
      )
      .get({ id: alertId });
    if (!found) return undefined;
    const { leaf, last, ...proof } = found;
    const packs = this.#statements
      .prepare<PackRow>("SELECT id, bytes FROM record WHERE id > ? AND id <= ? ORDER BY id")
      .all(leaf, leaf + last - proof.first + 1);
    return { ...proof, records: recordsOf(packs) };
  }

  #withBytes(rows: readonly AlertRow[]): readonly StoredAlert[] {
    const packs = this.#statements
      .prepare<PackRow>("SELECT id, bytes FROM record WHERE id IN (SELECT value FROM json_each(?))")
      .all(JSON.stringify([...new Set(rows.map(({ pack }) => pack))]));
    return toAlerts(rows, packs);
  }

  close(): void {
    this.#db.close();
  }
}
