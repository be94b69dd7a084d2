import { severities } from "../../../core/policy/rule.ts";
import type { Severity } from "../../../core/policy/rule.ts";
import { countAlerts } from "./counts.ts";
import type { AlertCounts } from "../counts.ts";
import { packsOf } from "./log.ts";
import { recordsOf, toAlerts, toKey, toNode } from "../rows.ts";
import type { AlertRow, KeyRow, NodeRow, PackRow, ProofRow } from "../rows.ts";
import type {
  AlertQuery,
  Comment,
  HourCount,
  NodeKey,
  NodeName,
  StoredAlert,
  StoredNode,
  StoredProof,
} from "../store.ts";
import type { Sql } from "./connect.ts";
import { alertJoin, alertSelect, findAlerts } from "./search.ts";
import { arrayOf, plain } from "./values.ts";

/** What people and the watchdog read: what was committed. */
export class PostgresReader {
  readonly #sql: Sql;
  readonly #searchLimit: number;

  /** `searchLimit`: milliseconds that one search may take. */
  constructor(sql: Sql, searchLimit: number) {
    this.#sql = sql;
    this.#searchLimit = searchLimit;
  }

  async nodes(ids?: readonly number[]): Promise<readonly StoredNode[]> {
    const sql = this.#sql;
    const wanted = ids ? arrayOf(ids) : null;
    const [rows, keys] = await Promise.all([
      sql<NodeRow[]>`
        SELECT id, cluster, name, key_id, chain, enrolled, heard, heartbeat, baseline
        FROM node WHERE ${wanted}::bigint[] IS NULL OR id = ANY(${wanted}::bigint[])
        ORDER BY cluster, name`,
      sql<KeyRow[]>`
        SELECT node, key_id, public_key FROM node_key
        WHERE retired IS NULL AND (${wanted}::bigint[] IS NULL OR node = ANY(${wanted}::bigint[]))
        ORDER BY since`,
    ]);
    const byNode = Map.groupBy(keys, ({ node }) => node);
    return rows.map((row) => toNode(row, byNode.get(row.id) ?? []));
  }

  async pulses(): Promise<readonly { readonly id: number; readonly heard: number }[]> {
    return await this.#sql<{ id: number; heard: number }[]>`SELECT id, heard FROM node`;
  }

  async keysOf({ cluster, node }: NodeName, withRetired: boolean): Promise<readonly NodeKey[]> {
    const rows = await this.#sql<KeyRow[]>`SELECT node, node_key.key_id, public_key
      FROM node JOIN node_key ON node_key.node = node.id
      WHERE cluster = ${cluster} AND name = ${node} AND (${withRetired} OR retired IS NULL)
      ORDER BY since`;
    return rows.map(toKey);
  }

  async alerts(query: AlertQuery): Promise<readonly StoredAlert[]> {
    return await this.#withBytes(await findAlerts(this.#sql, query, this.#searchLimit));
  }

  async alert(uid: string): Promise<StoredAlert | undefined> {
    const sql = `${alertSelect} FROM alert_uid
      JOIN alert ON alert.record = alert_uid.record AND alert.received = alert_uid.received
      ${alertJoin} WHERE alert_uid.uid = $1`;
    const [row] = await this.#sql.unsafe<AlertRow[]>(sql, [plain(uid)], { prepare: true });
    return row && (await this.#withBytes([row]))[0];
  }

  async comments(alertId: number): Promise<readonly Comment[]> {
    const rows = await this.#sql<Comment[]>`SELECT at, login AS user, acknowledges, text
      FROM comment WHERE record = ${alertId} ORDER BY id`;
    return [...rows];
  }

  async alarms(): Promise<readonly { node: number; what: string; since: number }[]> {
    const rows = await this.#sql<{ node: number; what: string; since: number }[]>`
      SELECT node, what, since FROM alarm`;
    return [...rows];
  }

  async openAlerts(): Promise<Readonly<Record<Severity, number>>> {
    const rows = await this.#sql<{ severity: number; count: number }[]>`
      SELECT severity, count(*) AS count FROM alert WHERE acknowledged = 0 GROUP BY severity`;
    const counted = new Map(rows.map(({ severity, count }) => [severities[severity], count]));
    return Object.fromEntries(severities.map((one) => [one, counted.get(one) ?? 0])) as Readonly<
      Record<Severity, number>
    >;
  }

  async counts(query: AlertQuery): Promise<AlertCounts> {
    return await countAlerts(this.#sql, query, this.#searchLimit);
  }

  async alertsByHour(since: number): Promise<readonly HourCount[]> {
    const rows = await this.#sql<{ hour: number; severity: number; count: number }[]>`
      SELECT at / ${hourLength}::bigint * ${hourLength}::bigint AS hour, severity, count(*) AS count
      FROM alert WHERE at >= ${since - (since % hourLength)} GROUP BY 1, 2 ORDER BY 1, 2`;
    return rows.map((row) => ({ ...row, severity: severities[row.severity] ?? "critical" }));
  }

  async proof(alertId: number): Promise<StoredProof | undefined> {
    // An alert's number is its leaf, and one: the batch that begins nearest before it holds it.
    const [found] = await this.#sql<(ProofRow & { readonly received: number })[]>`
      SELECT chain.name AS chain, chain.branch, batch.first + ${alertId} - 1 - batch.leaf AS seq,
        encode(subtree.hash, 'hex') AS hash, batch.envelope, batch.first, batch.last, batch.leaf,
        batch.received
      FROM batch JOIN chain ON chain.id = batch.chain
        JOIN subtree ON subtree.level = 0 AND subtree.place = ${alertId} - 1
      WHERE batch.leaf = (SELECT max(leaf) FROM batch WHERE leaf < ${alertId})
        AND batch.leaf + batch.last - batch.first >= ${alertId} - 1`;
    if (!found) return undefined;
    const { leaf: _, last: __, received: ___, ...proof } = found;
    return { ...proof, records: recordsOf(await packsOf(this.#sql, found)) };
  }

  async #withBytes(rows: readonly AlertRow[]): Promise<readonly StoredAlert[]> {
    const packs = [...new Set(rows.map(({ pack }) => pack))];
    if (packs.length === 0) return [];
    const received = [...new Set(rows.map((row) => row.received))];
    const found = await this.#sql<PackRow[]>`
      SELECT id, bytes FROM record
      WHERE id = ANY(${arrayOf(packs)}::bigint[]) AND received = ANY(${arrayOf(received)}::bigint[])`;
    return toAlerts(rows, found);
  }
}

/** Milliseconds. */
const hourLength = 3_600_000;
