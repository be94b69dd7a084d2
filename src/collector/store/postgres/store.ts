import { setTimeout } from "node:timers/promises";
import { usualLimit } from "../filtered.ts";
import type { LogReader } from "../log.ts";
import type { AlertQuery, Comment, NodeName, Store, Transaction, Users } from "../store.ts";
import { connect } from "./connect.ts";
import type { Connections, Run } from "./connect.ts";
import { Days, MissingDay } from "./days.ts";
import { explain, isPassing } from "./fault.ts";
import { PostgresLog } from "./log.ts";
import { migrate } from "./migrate.ts";
import { PostgresReader } from "./read.ts";
import { PostgresTransaction } from "./transaction.ts";
import { usersOf } from "./users.ts";
import { plain } from "./values.ts";

/** Times that a piece of work is begun. */
const mostAttempts = 5;

/**
 * Opens the collectors' common database; makes the tables where they are missing. `searchLimit`: milliseconds that one
 * search may take.
 */
export async function openPostgresStore(address: string, searchLimit = usualLimit): Promise<Store> {
  const connections = await connect(address);
  try {
    await migrate(connections);
    const days = new Days(connections.sql);
    await days.make(Date.now());
    return new PostgresStore(connections, { days, searchLimit });
  } catch (error) {
    await connections.sql.end({ timeout: 1 });
    throw explain(error, connections.name);
  }
}

class PostgresStore implements Store {
  readonly #connections: Connections;
  readonly days: Days;
  readonly #reader: PostgresReader;
  readonly log: LogReader;
  readonly users: Users;

  constructor(
    connections: Connections,
    { days, searchLimit }: { readonly days: Days; readonly searchLimit: number },
  ) {
    const { sql } = connections;
    this.#connections = connections;
    this.days = days;
    this.#reader = new PostgresReader(sql, searchLimit);
    const run: Run = async (work) => await this.#retry(async () => await work(sql));
    this.log = new PostgresLog(run);
    this.users = usersOf(run);
  }

  async transact<Result>(
    work: (tx: Transaction) => Promise<Result>,
    ready?: Promise<unknown>,
  ): Promise<Result> {
    await ready;
    return await this.#retry(async () => await this.#transactOnce(work));
  }

  async #transactOnce<Result>(work: (tx: Transaction) => Promise<Result>): Promise<Result> {
    let tx: PostgresTransaction | undefined;
    let done: { readonly result: Result } | undefined;
    try {
      await this.#connections.sql.begin(async (sql) => {
        tx = new PostgresTransaction(sql, this.days);
        const result = await work(tx);
        await tx.finish();
        done = { result };
      });
    } catch (last) {
      tx?.leave();
      const error = tx?.failure ?? last;
      // The commit was sent: it may have succeeded, and the work must not be done twice.
      throw done && isPassing(error) ? explain(error, this.#connections.name) : error;
    }
    if (!done) throw new Error("a transaction ended before its work");
    return done.result;
  }

  /** Does it again after a failure that passes. Throws STATE_BUSY when that lasts. */
  async #retry<Result>(work: () => Promise<Result>): Promise<Result> {
    let missing: MissingDay | undefined;
    for (let attempt = 1; ; attempt += 1) {
      try {
        if (missing) await this.days.make(missing.now);
        return await work();
      } catch (error) {
        missing = error instanceof MissingDay ? error : undefined;
        const mayPass = missing !== undefined || isPassing(error);
        if (!mayPass || attempt >= mostAttempts) throw explain(error, this.#connections.name);
        if (!missing) await setTimeout(2 ** attempt * 20 * (1 + Math.random()));
      }
    }
  }

  async #read<Result>(read: (reader: PostgresReader) => Promise<Result>): Promise<Result> {
    return await this.#retry(async () => await read(this.#reader));
  }

  nodes = async (ids?: readonly number[]) =>
    await this.#read(async (reader) => await reader.nodes(ids));
  pulses = async () => await this.#read(async (reader) => await reader.pulses());
  keysOf = async (node: NodeName) =>
    await this.#read(async (reader) => await reader.keysOf(node, false));
  everyKeyOf = async (node: NodeName) =>
    await this.#read(async (reader) => await reader.keysOf(node, true));
  alerts = async (query: AlertQuery) =>
    await this.#read(async (reader) => await reader.alerts(query));
  alert = async (uid: string) => await this.#read(async (reader) => await reader.alert(uid));
  comments = async (id: number) => await this.#read(async (reader) => await reader.comments(id));
  alarms = async () => await this.#read(async (reader) => await reader.alarms());
  openAlerts = async () => await this.#read(async (reader) => await reader.openAlerts());

  counts = async (query: AlertQuery) =>
    await this.#read(async (reader) => await reader.counts(query));
  alertsByHour = async (since: number) =>
    await this.#read(async (reader) => await reader.alertsByHour(since));
  proof = async (id: number) => await this.#read(async (reader) => await reader.proof(id));

  async addComment(alertId: number, comment: Comment): Promise<void> {
    const { at, user, acknowledges, text } = comment;
    try {
      await this.#connections.sql.begin(async (sql) => {
        await sql`INSERT INTO comment (record, at, login, acknowledges, text)
          VALUES (${alertId}, ${at}, ${user}, ${acknowledges}, ${plain(text)})`;
        if (acknowledges) await sql`UPDATE alert SET acknowledged = 1 WHERE record = ${alertId}`;
      });
    } catch (error) {
      throw explain(error, this.#connections.name);
    }
  }

  async addToken(hash: string, { node, expires }: { node: string; expires: number }) {
    await this.#retry(
      async () =>
        await this.#connections.sql`INSERT INTO token (hash, node, expires)
          VALUES (${hash}, ${node}, ${expires}) ON CONFLICT DO NOTHING`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections.sql.end({ timeout: 5 });
  }
}
