import type { Database } from "better-sqlite3";
import { IntegrityError } from "../core/error.ts";
import { initial } from "./migrations/001-initial.ts";

/** In order: number n of this list leads from `user_version` n-1 to n. */
const migrations: readonly string[] = [initial];

/** The schema that this program reads and writes. */
export const schemaVersion: number = migrations.length;

export function versionOf(db: Database): number {
  return db.pragma("user_version", { simple: true }) as number;
}

/** Brings an older database up to this program's schema, each step in one transaction; refuses a newer one. */
export function migrate(db: Database): void {
  refuseNewer(db);
  for (let version = versionOf(db); version < schemaVersion; version += 1) {
    const step = db.transaction(() => {
      // Another process may have taken this step while we waited for the lock.
      if (versionOf(db) !== version) return;
      db.exec(migrations[version] ?? "");
      db.pragma(`user_version = ${version + 1}`);
    });
    step.immediate();
  }
  refuseNewer(db);
}

function refuseNewer(db: Database): void {
  const version = versionOf(db);
  if (version <= schemaVersion) return;
  throw new IntegrityError(
    "STATE_UNUSABLE",
    `database ${db.name}: schema ${version} is newer than ${schemaVersion}, which this program knows`,
    { hint: "run the newer fim-agent that wrote it" },
  );
}
