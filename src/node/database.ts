import type { Database } from "better-sqlite3";
import { readMigrations } from "../sqlite/migrate.ts";
import type { Migrations } from "../sqlite/migrate.ts";
import { openDatabase } from "../sqlite/open.ts";

/** The schema of the agent's state. */
export const stateMigrations: Migrations = readMigrations(
  new URL("./migrations/", import.meta.url),
);

export function openStateDatabase(
  file: string,
  options: { readonly readonly?: boolean } = {},
): Database {
  return openDatabase(file, { ...options, migrations: stateMigrations });
}
