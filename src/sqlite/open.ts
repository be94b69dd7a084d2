import Database from "better-sqlite3";
import { closeSync, constants, existsSync, fchmodSync, fstatSync, openSync } from "node:fs";
import { IntegrityError } from "../core/error.ts";
import { explained } from "./explained.ts";
import { explain } from "./fault.ts";
import { migrate, versionOf } from "./migrate.ts";
import type { Migrations } from "./migrate.ts";
import { schemaFaults, schemaText } from "./schema.ts";

/** Milliseconds to wait for another process's transaction. */
const busyTimeout = 5000;
const full = 2;

/** The same for a process whose event loop must go on. */
const shortTimeout = 20;

interface OpenOptions {
  readonly migrations: Migrations;
  readonly readonly?: boolean;
}

/**
 * Opens a database whose commits reach the disk before they return. Uses little memory: 2 MB of page cache, no
 * mapping; no file in /tmp, which may not be writable.
 */
export function openDatabase(file: string, options: OpenOptions): Database.Database {
  const { readonly = false, migrations } = options;
  if (!readonly) prepareFile(file);
  else if (!existsSync(file))
    throw new IntegrityError("STATE_UNUSABLE", `database ${file}: there is none`, {
      hint: "check --state, or capture a baseline first: fim-agent baseline",
    });
  let db: Database.Database | undefined;
  try {
    db = explained(new Database(file, { readonly, fileMustExist: true, timeout: busyTimeout }));
    prepare(db, { readonly, migrations });
    return db;
  } catch (error) {
    db?.close();
    throw explain(error, file);
  }
}

/**
 * One transaction that takes the write lock first, so that it never fails half-way for want of it. It is on the disk
 * when it returns, and therefore must not be nested.
 */
export function transact<T>(db: Database.Database, work: () => T): T {
  if (db.inTransaction) throw new Error("transact within a transaction");
  try {
    return db.transaction(work).immediate();
  } catch (error) {
    throw explain(error, db.name);
  }
}

/** From now on a transaction fails soon with STATE_BUSY: the caller tries again without blocking its event loop. */
export function waitBriefly(db: Database.Database): void {
  db.pragma(`busy_timeout = ${shortTimeout}`);
}

/** Several reads of one state of the database, without a lock that others would wait for. */
export function inSnapshot<T>(db: Database.Database, work: () => T): T {
  try {
    return db.transaction(work).deferred();
  } catch (error) {
    throw explain(error, db.name);
  }
}

export function readMeta(db: Database.Database, key: string): string | undefined {
  return db.prepare<[string], string>("SELECT value FROM meta WHERE key = ?").pluck().get(key);
}

export function writeMeta(db: Database.Database, key: string, value: string): void {
  db.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)").run(key, value);
}

/** SQLite gives -wal and -shm the database's mode, so it is set before the database is opened. */
function prepareFile(file: string): void {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  let fd: number | undefined;
  try {
    fd = openSync(file, flags, 0o600);
    const seen = fstatSync(fd);
    if (!seen.isFile()) throw new IntegrityError("STATE_UNUSABLE", `database ${file}: not a file`);
    if ((seen.mode & 0o777) !== 0o600) fchmodSync(fd, 0o600);
  } catch (error) {
    if (error instanceof IntegrityError) throw error;
    const { code = "" } = error as NodeJS.ErrnoException;
    const found =
      code === "ELOOP" ? "a symbolic link, expected a file" : `cannot be opened (${code})`;
    throw new IntegrityError("STATE_UNUSABLE", `database ${file}: ${found}`, {
      hint: "the state directory must exist, be writable and belong to the agent alone",
      cause: error,
    });
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function prepare(db: Database.Database, { readonly, migrations }: Required<OpenOptions>): void {
  db.pragma(`busy_timeout = ${busyTimeout}`);
  db.pragma("cache_size = -2000");
  db.pragma("mmap_size = 0");
  db.pragma("temp_store = MEMORY");
  db.pragma("trusted_schema = OFF");
  db.pragma("cell_size_check = ON");
  db.pragma("foreign_keys = ON");
  // better-sqlite3 is built with NORMAL as the default under WAL: a commit could be lost with the power.
  db.pragma("synchronous = FULL");
  expectPragma(db, "synchronous", full);
  if (readonly) {
    expectSchema(db, migrations.length);
    return refuseAltered(db, migrations);
  }
  // Takes effect only in an empty database: pruned records give their pages back.
  db.pragma("auto_vacuum = INCREMENTAL");
  db.pragma("journal_mode = WAL");
  expectPragma(db, "journal_mode", "wal");
  db.pragma("journal_size_limit = 8388608");
  // 1 MiB: only a commit empties the log, so on a small disk a log of the usual 4 MiB would block every commit for good.
  db.pragma("wal_autocheckpoint = 256");
  migrate(db, migrations);
  refuseAltered(db, migrations);
}

function refuseAltered(db: Database.Database, migrations: Migrations): void {
  const faults = schemaFaults(db, migrations);
  if (faults.length === 0) return;
  throw new IntegrityError(
    "STATE_UNUSABLE",
    `database ${db.name}: altered or damaged (${schemaText(faults)})`,
    {
      hint: "treat it as an attack: keep the state directory as evidence and start over with another",
    },
  );
}

function expectPragma(db: Database.Database, name: string, expected: string | number): void {
  const found = db.pragma(name, { simple: true });
  if (found === expected) return;
  throw new IntegrityError(
    "STATE_UNUSABLE",
    `database ${db.name}: ${name} is ${String(found)}, expected ${expected}`,
    { hint: "keep the state directory on a local filesystem" },
  );
}

function expectSchema(db: Database.Database, expected: number): void {
  const found = versionOf(db);
  if (found === expected) return;
  throw new IntegrityError(
    "STATE_UNUSABLE",
    `database ${db.name}: schema ${found}, expected ${expected}`,
    { hint: "use the program that wrote it, or start this one once to bring it up to date" },
  );
}
