import type { Database } from "better-sqlite3";
import { readdirSync, readFileSync } from "node:fs";
import { IntegrityError } from "../core/error.ts";

/** SQL scripts in order: number n of the list leads from `user_version` n-1 to n. */
export type Migrations = readonly string[];

/** Reads the `NNN-name.sql` files of a directory, in the order of their names. */
export function readMigrations(directory: URL): Migrations {
  const files = readdirSync(directory).filter((name) => name.endsWith(".sql"));
  return files.toSorted().map((name) => readFileSync(new URL(name, directory), "utf8"));
}

export function versionOf(db: Database): number {
  return db.pragma("user_version", { simple: true }) as number;
}

/** Brings an older database up to the newest schema, each step in one transaction; refuses a newer database. */
export function migrate(db: Database, migrations: Migrations): void {
  refuseNewer(db, migrations);
  for (let version = versionOf(db); version < migrations.length; version += 1) {
    const step = db.transaction(() => {
      // Another process may have taken this step while we waited for the lock.
      if (versionOf(db) !== version) return;
      db.exec(migrations[version] ?? "");
      db.pragma(`user_version = ${version + 1}`);
    });
    step.immediate();
  }
  refuseNewer(db, migrations);
}

function refuseNewer(db: Database, { length }: Migrations): void {
  const version = versionOf(db);
  if (version <= length) return;
  throw new IntegrityError(
    "STATE_UNUSABLE",
    `database ${db.name}: schema ${version} is newer than ${length}, which this program knows`,
    { hint: "run the newer program that wrote it" },
  );
}
