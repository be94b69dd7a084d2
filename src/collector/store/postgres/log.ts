import { present } from "../../../core/present.ts";
import type { Place, RightEdge } from "../../../core/tlog/tree.ts";
import { parseTree, treeKey } from "../../log/grow.ts";
import type { LogQuery, LogReader, StoredBatch } from "../log.ts";
import { recordsOf, toKey } from "../rows.ts";
import type { KeyRow, PackRow } from "../rows.ts";
import type { NodeKey } from "../store.ts";
import type { Run, Sql, TransactionSql } from "./connect.ts";

interface BatchRow {
  readonly leaf: number;
  readonly first: number;
  readonly last: number;
  readonly received: number;
  readonly envelope: string;
  readonly name: string;
  readonly branch: number;
  readonly node: number | null;
  readonly enrolment: string | null;
}

/** Reads the log: a record's id is its leaf, and one. */
export class PostgresLog implements LogReader {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async tree(): Promise<RightEdge> {
    const [row] = await this.#run(
      async (sql) => await sql<{ value: string }[]>`SELECT value FROM meta WHERE key = ${treeKey}`,
    );
    return parseTree(row?.value);
  }

  async hashAt({ level, index }: Place): Promise<string | undefined> {
    const [row] = await this.#run(
      async (sql) =>
        await sql<{ hash: string }[]>`
        SELECT encode(hash, 'hex') AS hash FROM subtree
        WHERE level = ${level} AND place = ${index}`,
    );
    return row?.hash;
  }

  async leaves(from: number, limit: number): Promise<readonly string[]> {
    const rows = await this.#run(
      async (sql) =>
        await sql<{ place: number; hash: string }[]>`
        SELECT place, encode(hash, 'hex') AS hash FROM subtree
        WHERE level = 0 AND place >= ${from} AND place < ${from + limit} ORDER BY place`,
    );
    const hole = rows.findIndex(({ place }, at) => place !== from + at);
    return rows.slice(0, hole < 0 ? rows.length : hole).map(({ hash }) => hash);
  }

  async batches(query: LogQuery): Promise<readonly StoredBatch[]> {
    // One snapshot: a day that is dropped meanwhile must not look like a batch that lost its records.
    const snapshot = "isolation level repeatable read read only";
    return await this.#run(async (pool) => [
      ...(await pool.begin(snapshot, async (sql) => await readBatches(sql, query))),
    ]);
  }

  async checkpoint(origin: string): Promise<string | undefined> {
    const [row] = await this.#run(
      async (sql) =>
        await sql<{ note: string }[]>`
        SELECT note FROM checkpoint WHERE origin = ${origin} ORDER BY size DESC LIMIT 1`,
    );
    return row?.note;
  }

  async leafOf(alertId: number): Promise<number | undefined> {
    const [row] = await this.#run(
      async (sql) =>
        await sql<{ leaf: number }[]>`
        SELECT record - 1 AS leaf FROM alert WHERE record = ${alertId}`,
    );
    return row?.leaf;
  }
}

async function readBatches(sql: TransactionSql, query: LogQuery): Promise<readonly StoredBatch[]> {
  const rows = await batchRows(sql, query);
  const keys = new Map<number | null, readonly NodeKey[]>();
  for (const { node } of rows) keys.set(node, keys.get(node) ?? (await keysOf(sql, node)));
  return await Promise.all(
    rows.map(async (row) => await toBatch(sql, row, keys.get(row.node) ?? [])),
  );
}

async function batchRows(
  sql: TransactionSql,
  { from, to, node, since, limit }: LogQuery,
): Promise<readonly BatchRow[]> {
  return await sql<BatchRow[]>`
    SELECT batch.leaf, batch.first, batch.last, batch.received, batch.envelope, chain.name,
      chain.branch, chain.node, node.enrolment
    FROM batch JOIN chain ON chain.id = batch.chain LEFT JOIN node ON node.id = chain.node
    WHERE batch.leaf >= ${from} AND batch.leaf < ${to}
      ${node ? sql`AND node.cluster = ${node.cluster} AND node.name = ${node.node}` : sql``}
      ${since === undefined ? sql`` : sql`AND batch.received >= ${since}`}
    ORDER BY batch.leaf LIMIT ${limit}`;
}

async function toBatch(
  sql: TransactionSql,
  row: BatchRow,
  keys: readonly NodeKey[],
): Promise<StoredBatch> {
  const { leaf, envelope, name: chain, branch } = row;
  const records = recordsOf(await packsOf(sql, row));
  const enrolment = row.enrolment ?? undefined;
  return present({ leaf, chain, branch, keys, enrolment, envelope, records });
}

/** The packs of a batch, in order. */
export async function packsOf(
  sql: Sql | TransactionSql,
  { leaf, first, last, received }: Pick<BatchRow, "leaf" | "first" | "last" | "received">,
): Promise<readonly PackRow[]> {
  return await sql<PackRow[]>`SELECT id, bytes FROM record
    WHERE id > ${leaf} AND id <= ${leaf + last - first + 1} AND received = ${received} ORDER BY id`;
}

async function keysOf(sql: TransactionSql, node: number | null): Promise<readonly NodeKey[]> {
  const rows = await sql<KeyRow[]>`
    SELECT node, key_id, public_key FROM node_key WHERE node = ${node} ORDER BY since`;
  return rows.map(toKey);
}
