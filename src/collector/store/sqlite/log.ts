import type { Database } from "better-sqlite3";
import { inSnapshot } from "../../../sqlite/open.ts";
import { Statements } from "../../../sqlite/statements.ts";
import { present } from "../../../core/present.ts";
import type { Place, RightEdge } from "../../../core/tlog/tree.ts";
import { parseTree, treeKey } from "../../log/grow.ts";
import type { LogQuery, LogReader, StoredBatch } from "../log.ts";
import type { NodeKey } from "../store.ts";
import { recordsOf, toKey } from "../rows.ts";
import type { KeyRow, PackRow } from "../rows.ts";

interface BatchRow {
  readonly leaf: number;
  readonly first: number;
  readonly last: number;
  readonly envelope: string;
  readonly name: string;
  readonly branch: number;
  readonly node: number | null;
  readonly enrolment: string | null;
}

const batchSelect = `SELECT batch.leaf, batch.first, batch.last, batch.envelope, chain.name, chain.branch, chain.node,
    node.enrolment
  FROM batch JOIN chain ON chain.id = batch.chain LEFT JOIN node ON node.id = chain.node
  WHERE batch.leaf >= @from AND batch.leaf < @to
    AND (@cluster IS NULL OR node.cluster = @cluster AND node.name = @node)
    AND (@since IS NULL OR batch.received >= @since)
  ORDER BY batch.leaf LIMIT @limit`;

/** Reads the log over a connection that writes nothing. */
export class SqliteLog implements LogReader {
  readonly #db: Database;
  readonly #statements: Statements;

  constructor(db: Database) {
    this.#db = db;
    this.#statements = new Statements(db);
  }

  async tree(): Promise<RightEdge> {
    return parseTree(
      this.#statements
        .prepare<{ value: string }>("SELECT value FROM meta WHERE key = ?")
        .get(treeKey)?.value,
    );
  }

  async hashAt({ level, index }: Place): Promise<string | undefined> {
    return this.#statements
      .prepare<Buffer>("SELECT hash FROM subtree WHERE level = ? AND place = ?")
      .pluck()
      .get(level, index)
      ?.toString("hex");
  }

  async leaves(from: number, limit: number): Promise<readonly string[]> {
    const sql =
      "SELECT place, hash FROM subtree WHERE level = 0 AND place >= ? AND place < ? ORDER BY place";
    const rows = this.#statements
      .prepare<{ place: number; hash: Buffer }>(sql)
      .all(from, from + limit);
    const hole = rows.findIndex(({ place }, n) => place !== from + n);
    return rows.slice(0, hole < 0 ? rows.length : hole).map(({ hash }) => hash.toString("hex"));
  }

  async batches(query: LogQuery): Promise<readonly StoredBatch[]> {
    // A day that another process drops meanwhile must not look like a batch that lost its records.
    return inSnapshot(this.#db, () => this.#batches(query));
  }

  #batches({ from, to, node, since, limit }: LogQuery): readonly StoredBatch[] {
    const given = { cluster: node?.cluster ?? null, node: node?.node ?? null };
    const rows = this.#statements
      .prepare<BatchRow>(batchSelect)
      .all({ from, to, limit, since: since ?? null, ...given });
    const keys = new Map(rows.map((row) => [row.node, this.#keysOf(row.node)] as const));
    return rows.map((row) => this.#toBatch(row, keys.get(row.node) ?? []));
  }

  async checkpoint(origin: string): Promise<string | undefined> {
    return this.#statements
      .prepare<string>("SELECT note FROM checkpoint WHERE origin = ? ORDER BY size DESC LIMIT 1")
      .pluck()
      .get(origin);
  }

  async leafOf(alertId: number): Promise<number | undefined> {
    const sql = "SELECT record - 1 FROM alert WHERE record = ?";
    return this.#statements.prepare<number>(sql).pluck().get(alertId);
  }

  #toBatch(row: BatchRow, keys: readonly NodeKey[]): StoredBatch {
    const { leaf, first, last, envelope, name, branch } = row;
    const packs = this.#statements
      .prepare<PackRow>("SELECT id, bytes FROM record WHERE id > ? AND id <= ? ORDER BY id")
      .all(leaf, leaf + last - first + 1);
    const records = recordsOf(packs);
    const enrolment = row.enrolment ?? undefined;
    return present({ leaf, chain: name, branch, keys, enrolment, envelope, records });
  }

  #keysOf(node: number | null): readonly NodeKey[] {
    return this.#statements
      .prepare<KeyRow>(
        "SELECT node, key_id, public_key FROM node_key WHERE node = ? ORDER BY since",
      )
      .all(node)
      .map(toKey);
  }
}
