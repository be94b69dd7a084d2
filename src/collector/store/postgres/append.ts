import type { RightEdge } from "../../../core/tlog/tree.ts";
import { severities } from "../../../core/policy/rule.ts";
import { grow, parseTree, printTree, treeKey } from "../../log/grow.ts";
import { present } from "../../../core/present.ts";
import type { AlertColumns, NewBatch } from "../store.ts";
import type { TransactionSql } from "./connect.ts";
import { packRows } from "../rows.ts";
import { arrayOf } from "./values.ts";

interface Appended {
  readonly batch: NewBatch;
  readonly chain: Promise<number>;
  readonly node?: number;
  readonly now: number;
}

interface Row extends Pick<Appended, "node" | "now"> {
  /** The leaf of its record, and one. */
  readonly id: number;
  /** Of its record. */
  readonly hash: string;
  readonly alert: AlertColumns;
}

/**
 * The batches of a transaction, kept until its end: appending to the log's tree locks it for all, so it is done last
 * and at once.
 */
export class Appending {
  readonly #sql: TransactionSql;
  #waiting: readonly Appended[] = [];

  constructor(sql: TransactionSql) {
    this.#sql = sql;
  }

  add(one: Appended): void {
    this.#waiting = [...this.#waiting, one];
  }

  /** Hash of a record of branch 0 that waits. */
  hashOf(chain: string, seq: number): string | undefined {
    return this.#waiting
      .filter(({ batch }) => batch.chain === chain && batch.branch === 0)
      .flatMap(({ batch }) => batch.records[seq - batch.first] ?? [])
      .at(0)?.hash;
  }

  async tree(): Promise<RightEdge> {
    const [row] = await this.#sql<{ value: string }[]>`
      SELECT value FROM meta WHERE key = ${treeKey}`;
    return parseTree(row?.value);
  }

  /** Appends the waiting records to the log and stores them. */
  async flush(): Promise<void> {
    const sql = this.#sql;
    const appended = this.#waiting;
    if (appended.length === 0) return;
    this.#waiting = [];
    const chains = await Promise.all(appended.map(({ chain }) => chain));
    const [row] = await sql<{ value: string }[]>`
      SELECT value FROM meta WHERE key = ${treeKey} FOR UPDATE`;
    const before = parseTree(row?.value);
    const hashes = appended.flatMap(({ batch }) => batch.records.map(({ hash }) => hash));
    const { tree, completed } = grow(before, hashes);
    const rows = rowsOf(appended, before.size);
    const leaves = leavesOf(appended, before.size);
    // Sent at once: the server runs them in order.
    await Promise.all([
      sql`UPDATE meta SET value = ${printTree(tree)} WHERE key = ${treeKey}`,
      sql`INSERT INTO subtree (level, place, hash) SELECT * FROM unnest(
        ${arrayOf(completed.map(({ level }) => level))}::smallint[],
        ${arrayOf(completed.map(({ index }) => index))}::bigint[],
        ${arrayOf(completed.map(({ hash }) => Buffer.from(hash, "hex")))}::bytea[])`,
      insertBatches(sql, appended, { leaves, chains }),
      insertPacks(sql, appended, leaves),
      insertAlerts(sql, rows),
    ]);
  }
}

function rowsOf(appended: readonly Appended[], size: number): readonly Row[] {
  let id = size;
  return appended.flatMap(({ batch, node, now }) =>
    batch.records.flatMap(({ alert, hash, about = node }): readonly Row[] => {
      id += 1;
      return alert ? [present({ id, hash, alert, node: about, now })] : [];
    }),
  );
}

/** The leaf of the first record of each. */
function leavesOf(appended: readonly Appended[], size: number): readonly number[] {
  let next = size;
  return appended.map(({ batch }) => {
    const leaf = next;
    next += batch.records.length;
    return leaf;
  });
}

async function insertBatches(
  sql: TransactionSql,
  appended: readonly Appended[],
  { leaves, chains }: { readonly leaves: readonly number[]; readonly chains: readonly number[] },
): Promise<void> {
  const batches = appended.map(({ batch }) => batch);
  await sql`INSERT INTO batch (leaf, chain, first, last, received, envelope)
    SELECT * FROM unnest(
      ${arrayOf(leaves)}::bigint[],
      ${arrayOf(chains)}::bigint[],
      ${arrayOf(batches.map(({ first }) => first))}::bigint[],
      ${arrayOf(batches.map(({ head }) => head.seq))}::bigint[],
      ${arrayOf(appended.map(({ now }) => now))}::bigint[],
      ${arrayOf(batches.map(({ envelope }) => envelope))}::text[])`;
}

async function insertPacks(
  sql: TransactionSql,
  appended: readonly Appended[],
  leaves: readonly number[],
): Promise<void> {
  const packs = appended.flatMap(({ batch, now }, at) =>
    packRows(batch.packs, (leaves[at] ?? 0) + 1).map(({ id, bytes }) => ({ id, bytes, now })),
  );
  await sql`INSERT INTO record (id, received, bytes) SELECT * FROM unnest(
      ${arrayOf(packs.map(({ id }) => id))}::bigint[],
      ${arrayOf(packs.map(({ now }) => now))}::bigint[],
      ${arrayOf(packs.map(({ bytes }) => bytes))}::bytea[])`;
}

/** Inserts alerts. Where another record has the id of an alert, the alert gets its record's hash as its id. */
async function insertAlerts(sql: TransactionSql, rows: readonly Row[]): Promise<void> {
  if (rows.length === 0 || (await insertNew(sql, rows)) === rows.length) return;
  const hidden = await hiddenOf(sql, rows);
  const shown = hidden.map((row) => ({ ...row, alert: { ...row.alert, uid: row.hash } }));
  if (shown.length > 0) await insertNew(sql, shown);
}

/** Those whose id another record has. A branch may repeat a record of the chain: that is the same one. */
async function hiddenOf(sql: TransactionSql, rows: readonly Row[]): Promise<readonly Row[]> {
  const found = await sql<{ uid: string; record: number; hash: string }[]>`
    SELECT uid, record, encode(hash, 'hex') AS hash
    FROM alert_uid JOIN subtree ON level = 0 AND place = record - 1
    WHERE uid = ANY (${arrayOf(rows.map(({ alert }) => alert.uid))}::text[])`;
  const byUid = new Map(found.map((one) => [one.uid, one]));
  return rows.filter(({ id, hash, alert }) => {
    const known = byUid.get(alert.uid);
    return known !== undefined && known.record !== id && known.hash !== hash;
  });
}

/** Those whose id is new. Returns how many these were. */
async function insertNew(sql: TransactionSql, rows: readonly Row[]): Promise<number> {
  const alerts = rows.map(({ alert }) => alert);
  const { count } = await sql`WITH given AS (SELECT * FROM unnest(
      ${arrayOf(rows.map(({ id }) => id))}::bigint[],
      ${arrayOf(alerts.map(({ uid }) => uid))}::text[],
      ${arrayOf(rows.map(({ node }) => node))}::bigint[],
      ${arrayOf(alerts.map(({ type }) => type))}::text[],
      ${arrayOf(alerts.map(({ severity }) => severities.indexOf(severity)))}::smallint[],
      ${arrayOf(alerts.map(({ change }) => change))}::text[],
      ${arrayOf(alerts.map(({ path }) => path))}::text[],
      ${arrayOf(alerts.map(({ rule }) => rule))}::text[],
      ${arrayOf(alerts.map(({ incident }) => incident))}::text[],
      ${arrayOf(alerts.map(({ pod }) => pod))}::text[],
      ${arrayOf(alerts.map(({ program }) => program))}::text[],
      ${arrayOf(alerts.map(({ at }) => at))}::bigint[],
      ${arrayOf(rows.map(({ now }) => now))}::bigint[])
      AS given (record, uid, node, type, severity, change, path, rule, incident, pod, program, at, received)),
    fresh AS (
      INSERT INTO alert_uid (uid, record, received) SELECT uid, record, received FROM given
      ORDER BY record ON CONFLICT DO NOTHING RETURNING record),
    names AS (
      INSERT INTO path_name SELECT DISTINCT path FROM given WHERE path IS NOT NULL AND NOT EXISTS (
        SELECT FROM path_name AS known WHERE left(known.path, 512) = left(given.path, 512)
          COLLATE "C" AND known.path = given.path COLLATE "C"))
    INSERT INTO alert
      (record, uid, node, type, severity, change, path, rule, incident, pod, program, at, received)
    SELECT given.* FROM given JOIN fresh ON fresh.record = given.record`;
  return count;
}
