import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { sqliteFile } from "../../collector/collector.ts";
import type { CollectorSettings } from "../../collector/settings.ts";
import { backupDatabase } from "../../collector/store/sqlite/backup.ts";
import { IntegrityError } from "../../core/error.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { say } from "../print.ts";

/** `backup FILE`: a copy of the database, also while a collector serves. */
export async function backup(
  settings: CollectorSettings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const from = sqliteFile(settings);
  if (from === undefined)
    throw new IntegrityError("USAGE", "backup: the store is PostgreSQL, which has its own", {
      hint: "pg_dump --format=custom --file=FILE DATABASE",
    });
  const to = resolve(given["file"] as string);
  await backupDatabase(from, to);
  say(`to restore ${to}, stop the collector and put a copy in the place of ${from}`);
  say(
    `it holds neither key nor certificate: keep copies of ${besides(settings.state)} apart from it`,
  );
  return exit.fine;
}

/** What else a collector needs to be the same one for its agents. */
function besides(state: string): string {
  return ["agent.key", "tls.crt", "tls.key"]
    .map((name) => join(state, name))
    .filter((file) => existsSync(file))
    .join(", ");
}
