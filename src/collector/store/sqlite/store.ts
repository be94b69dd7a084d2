import type { Database } from "better-sqlite3";
import { readMigrations } from "../../../sqlite/migrate.ts";
import type { Migrations } from "../../../sqlite/migrate.ts";
import { openDatabase, waitBriefly } from "../../../sqlite/open.ts";
import type {
  AlertQuery,
  Comment,
  NodeName,
  Session,
  Store,
  StoredAlert,
  Transaction,
  Users,
} from "../store.ts";
import type { LogReader } from "../log.ts";
import type { StoredDays } from "../days.ts";
import { SqliteDays } from "./days.ts";
import { Checkpointer } from "./checkpointer.ts";
import { CommitQueue } from "./commit-queue.ts";
import { isFiltered, usualLimit } from "../filtered.ts";
import { Finder } from "./finder.ts";
import { SqliteLog } from "./log.ts";
import { SqliteReader } from "./read.ts";
import { SqliteTransaction } from "./transaction.ts";

const collectorMigrations: Migrations = readMigrations(new URL("./migrations/", import.meta.url));

/** Opens the collector's database; makes it where it is missing. `searchLimit`: milliseconds that one search may take. */
export function openSqliteStore(file: string, searchLimit = usualLimit): Store {
  const writer = openDatabase(file, { migrations: collectorMigrations });
  // Reads of people do not wait for, and never see the middle of, what is being stored.
  const reader = openDatabase(file, { migrations: collectorMigrations, readonly: true });
  for (const db of [writer, reader]) db.pragma("cache_size = -32000");
  // 64 MiB, in pages: the checkpointer keeps it smaller.
  writer.pragma("wal_autocheckpoint = 16384");
  writer.pragma("journal_size_limit = 67108864");
  waitBriefly(writer);
  const finder = new Finder(file, searchLimit);
  return new SqliteStore(writer, {
    reader: new SqliteReader(reader),
    log: new SqliteLog(reader),
    finder,
  });
}

class SqliteStore implements Store {
  readonly #db: Database;
  readonly #reader: SqliteReader;
  readonly #finder: Finder;
  readonly #tx: SqliteTransaction;
  readonly log: LogReader;
  readonly days: StoredDays;
  readonly users: Users;
  readonly #queue: CommitQueue;
  readonly #checkpointer: Checkpointer;

  constructor(
    db: Database,
    { reader, log, finder }: { reader: SqliteReader; log: LogReader; finder: Finder },
  ) {
    this.#db = db;
    this.#reader = reader;
    this.#finder = finder;
    this.log = log;
    this.#tx = new SqliteTransaction(db);
    this.#checkpointer = new Checkpointer(db.name);
    this.#queue = new CommitQueue(db, () => {
      this.#checkpointer.wrote(this.#tx.takeAppended());
    });
    this.days = new SqliteDays(db, this.#queue);
    this.users = usersOf(db, (work) => this.transact(async () => work()));
  }

  async transact<Result>(
    work: (tx: Transaction) => Promise<Result>,
    ready?: Promise<unknown>,
  ): Promise<Result> {
    return await this.#queue.run(async () => await work(this.#tx), ready);
  }

  nodes = async (ids?: readonly number[]) => this.#reader.nodes(ids);
  pulses = async () => this.#reader.pulses();
  // By the connection that writes: it has these pages in memory.
  keysOf = async (node: NodeName) => (await this.#tx.node(node))?.keys ?? [];
  everyKeyOf = async (node: NodeName) => this.#reader.everyKeyOf(node);
  alerts = async (query: AlertQuery): Promise<readonly StoredAlert[]> => {
    const records = isFiltered(query)
      ? await this.#finder.records(query)
      : this.#reader.records(query);
    return this.#reader.alerts(records, query);
  };
  alert = async (uid: string) => this.#reader.alert(uid);
  comments = async (alertId: number) => this.#reader.comments(alertId);
  alarms = async () => this.#reader.alarms();
  openAlerts = async () => await this.#finder.open();
  counts = async (query: AlertQuery) => await this.#finder.counts(query);
  alertsByHour = async (since: number) => await this.#finder.hours(since);
  proof = async (alertId: number) => this.#reader.proof(alertId);

  async addComment(alertId: number, { at, user, acknowledges, text }: Comment): Promise<void> {
    await this.transact(async () => {
      this.#db
        .prepare(
          "INSERT INTO comment (record, at, user, acknowledges, text) VALUES (?, ?, ?, ?, ?)",
        )
        .run(alertId, at, user, acknowledges ? 1 : 0, text);
      if (acknowledges)
        this.#db.prepare("UPDATE alert SET acknowledged = 1 WHERE record = ?").run(alertId);
    });
  }

  async addToken(hash: string, token: { node: string; expires: number }): Promise<void> {
    await this.transact(async () => {
      this.#db
        .prepare("INSERT INTO token (hash, node, expires) VALUES (?, ?, ?)")
        .run(hash, token.node, token.expires);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue.drain();
    await this.#checkpointer[Symbol.asyncDispose]();
    await this.#finder[Symbol.asyncDispose]();
    this.#reader.close();
    this.#db.close();
  }
}

type Run = <Result>(work: () => Result) => Promise<Result>;

function usersOf(db: Database, run: Run): Users {
  return {
    add: (name, password, now) => {
      const sql =
        "INSERT INTO user (name, password, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
      return run(() => db.prepare(sql).run(name, password ?? null, now).changes > 0);
    },
    password: async (name) =>
      db
        .prepare<[string], string | null>("SELECT password FROM user WHERE name = ?")
        .pluck()
        .get(name) ?? undefined,
    names: async () => db.prepare<[], string>("SELECT name FROM user ORDER BY name").pluck().all(),
    addSession: async (hash, { user, kind, created, expires }) => {
      const sql = "INSERT INTO session (hash, user, kind, created, expires) VALUES (?, ?, ?, ?, ?)";
      await run(() => {
        db.prepare("DELETE FROM session WHERE expires <= ?").run(created);
        db.prepare(sql).run(hash, user, kind, created, expires ?? null);
      });
    },
    session: async (hash, now) => {
      const row = db
        .prepare<[string, number], { user: string; kind: Session["kind"]; expires: number | null }>(
          "SELECT user, kind, expires FROM session WHERE hash = ? AND (expires IS NULL OR expires > ?)",
        )
        .get(hash, now);
      if (!row) return undefined;
      const { user, kind, expires } = row;
      return { user, kind, ...(expires !== null && { expires }) };
    },
    endSession: async (hash) => {
      await run(() => db.prepare("DELETE FROM session WHERE hash = ?").run(hash));
    },
  };
}
