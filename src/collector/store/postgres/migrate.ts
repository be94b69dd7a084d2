import { IntegrityError } from "../../../core/error.ts";
import { readMigrations } from "../../../sqlite/migrate.ts";
import type { Migrations } from "../../../sqlite/migrate.ts";
import { lock } from "./connect.ts";
import type { Connections } from "./connect.ts";

const migrations: Migrations = readMigrations(new URL("./migrations/", import.meta.url));

/** Brings the database up to the newest schema in one transaction; refuses a newer one. Several may start at once. */
export async function migrate({ sql, name }: Connections): Promise<void> {
  await sql.begin(async (tx) => {
    await lock(tx, "schema");
    // A new index over many alerts takes longer than any other statement may.
    await tx`SET LOCAL statement_timeout = 0`;
    await tx`CREATE TABLE IF NOT EXISTS schema (version integer NOT NULL)`;
    const [row] = await tx<{ version: number }[]>`SELECT version FROM schema`;
    const version = row?.version ?? 0;
    if (version > migrations.length) throw newer(name, version);
    if (version === migrations.length) return;
    for (const step of migrations.slice(version)) await tx.unsafe(step);
    await tx`DELETE FROM schema`;
    await tx`INSERT INTO schema (version) VALUES (${migrations.length})`;
  });
}

function newer(name: string, version: number): IntegrityError {
  return new IntegrityError(
    "STATE_UNUSABLE",
    `database ${name}: schema ${version} is newer than ${migrations.length}, which this program knows`,
    { hint: "run the newer program that wrote it" },
  );
}
