import test from "ava";
import Database from "better-sqlite3";
import type { ExecutionContext } from "ava";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { connect } from "../../../src/collector/store/postgres/connect.ts";
import { migrate } from "../../../src/collector/store/postgres/migrate.ts";
import { openPostgresStore } from "../../../src/collector/store/postgres/store.ts";
import { openSqliteStore } from "../../../src/collector/store/sqlite/store.ts";
import type { Store } from "../../../src/collector/store/store.ts";
import { readMigrations } from "../../../src/sqlite/migrate.ts";
import { needing } from "../../helpers/needs.ts";
import { postgresMissing } from "../../helpers/postgres.ts";
import { postgresSchema } from "../../helpers/stores.ts";

const stores = new URL("../../../src/collector/store/", import.meta.url);
/** The last version in which each record had a row of its own. */
const former = 5;
const day = 1_795_737_600_000;
const hashes = ["aa", "bb", "cc"].map((one) => one.repeat(32));

test("records that were stored one by one are found in their batches", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "fim-migration-"));
  const file = join(dir, "collector.db");
  const db = new Database(file);
  for (const sql of readMigrations(new URL("sqlite/migrations/", stores)).slice(0, former))
    db.exec(sql);
  db.exec(`PRAGMA user_version = ${former};
    INSERT INTO node VALUES (1, 'prod', 'cp-1', 'k', 'prod/cp-1/a', 0, '{}', 0, NULL, NULL, NULL);
    INSERT INTO chain VALUES (1, 1, 'prod/cp-1/a', 0, 1, 3, '${hashes[2]}', 'k', 0);
    INSERT INTO batch VALUES (1, 2, 1, 'first', 4), (1, 3, 3, 'second', 6);
    INSERT INTO record VALUES (1, 1, 1, '${hashes[0]}', ${day}, CAST('{"a":"é"}' AS BLOB)),
      (2, 1, 2, '${hashes[1]}', ${day}, CAST('{"b":2}' AS BLOB)),
      (3, 1, 3, '${hashes[2]}', ${day + 1}, CAST('{"c":3}' AS BLOB));
    INSERT INTO subtree VALUES (0, 4, x'${hashes[0]}'), (0, 5, x'${hashes[1]}'), (0, 6, x'${hashes[2]}');
    INSERT INTO alert (record, uid, node, type, severity, at, received)
      VALUES (1, 'one', 1, 't', 3, 7, ${day}), (3, 'three', 1, 't', 3, 7, ${day + 1});
    INSERT INTO comment VALUES (9, 3, 8, 'ann', 1, 'seen');`);
  db.close();
  {
    await using store = openSqliteStore(file);
    await expectAll(t, store);
  }
  rmSync(dir, { recursive: true });
});

needing(postgresMissing)(
  "records that PostgreSQL stored one by one are found in their batches",
  async (t) => {
    const address = await postgresSchema();
    const sql = postgres(address, { max: 1, onnotice: () => undefined });
    await sql.unsafe("CREATE TABLE schema (version integer NOT NULL)");
    await sql.unsafe(`INSERT INTO schema VALUES (${former})`);
    for (const step of readMigrations(new URL("postgres/migrations/", stores)).slice(0, former))
      await sql.unsafe(step);
    for (const parent of ["batch", "record", "alert"])
      await sql.unsafe(`CREATE TABLE ${parent}_20261127 (LIKE ${parent} INCLUDING ALL);
        ALTER TABLE ${parent} ATTACH PARTITION ${parent}_20261127
        FOR VALUES FROM (${day}) TO (${day + 86_400_000})`);
    await sql.unsafe(`
      INSERT INTO node (cluster, name, key_id, chain, enrolled, enrolment, heard)
        VALUES ('prod', 'cp-1', 'k', 'prod/cp-1/a', 0, '{}', 0);
      INSERT INTO chain (node, name, branch, first, seq, hash, key_id, begun)
        VALUES (1, 'prod/cp-1/a', 0, 1, 3, '${hashes[2]}', 'k', 0);
      INSERT INTO batch VALUES (1, 1, 2, 4, ${day}, 'first'), (1, 3, 3, 6, ${day + 1}, 'second');
      INSERT INTO record VALUES (5, 1, 1, ${day}, '\\x${hashes[0]}', convert_to('{"a":"é"}', 'UTF8')),
        (6, 1, 2, ${day}, '\\x${hashes[1]}', '{"b":2}'),
        (7, 1, 3, ${day + 1}, '\\x${hashes[2]}', '{"c":3}');
      INSERT INTO subtree VALUES (0, 4, '\\x${hashes[0]}'), (0, 5, '\\x${hashes[1]}'),
        (0, 6, '\\x${hashes[2]}');
      INSERT INTO alert (record, uid, node, type, severity, at, received)
        VALUES (5, 'one', 1, 't', 3, 7, ${day}), (7, 'three', 1, 't', 3, 7, ${day + 1});
      INSERT INTO alert_uid VALUES ('one', 5, ${day}), ('three', 7, ${day + 1});
      INSERT INTO comment (record, at, login, acknowledges, text) VALUES (7, 8, 'ann', true, 'seen')`);
    await sql.end();
    await using store = await openPostgresStore(address);
    await expectAll(t, store);
  },
);

needing(postgresMissing)("a migration may take as long as a large database needs", async (t) => {
  const address = await postgresSchema();
  const schema = new URL(address).searchParams.get("search_path") ?? "";
  const sql = postgres(address, { max: 1, onnotice: () => undefined });
  // Refuses each of its steps that has a limit.
  await sql.unsafe(`CREATE FUNCTION refuse_limit() RETURNS event_trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF current_schema() = '${schema}' AND current_setting('statement_timeout') <> '0' THEN
          RAISE EXCEPTION 'a limit of %', current_setting('statement_timeout');
        END IF;
      END $$;
    CREATE EVENT TRIGGER limit_${schema} ON ddl_command_end WHEN TAG IN ('CREATE INDEX')
      EXECUTE FUNCTION refuse_limit()`);
  const connections = await connect(address);
  await t.notThrowsAsync(migrate(connections));
  await connections.sql.end();
  await sql.unsafe(`DROP EVENT TRIGGER limit_${schema}`);
  await sql.end();
});

async function expectAll(t: ExecutionContext, store: Store): Promise<void> {
  const batches = await store.log.batches({ from: 0, to: 100, limit: 10 });
  t.deepEqual(
    batches.map(({ leaf, envelope, records }) => [leaf, envelope, records.map(String)]),
    [
      [4, "first", ['{"a":"é"}', '{"b":2}']],
      [6, "second", ['{"c":3}']],
    ],
  );
  const alerts = await store.alerts({ limit: 10 });
  t.deepEqual(
    alerts.map(({ id, uid, bytes }) => [id, uid, String(bytes)]),
    [
      [7, "three", '{"c":3}'],
      [5, "one", '{"a":"é"}'],
    ],
  );
  t.deepEqual(
    (await store.comments(7)).map(({ text }) => text),
    ["seen"],
  );
  t.like(await store.proof(5), { seq: 1, first: 1, hash: hashes[0], chain: "prod/cp-1/a" });
  t.is(await store.transact(async (tx) => await tx.hashOf("prod/cp-1/a", 2)), hashes[1]);
}
