import test from "ava";
import Database from "better-sqlite3";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SqliteLog } from "../../../src/collector/store/sqlite/log.ts";
import { openSqliteStore } from "../../../src/collector/store/sqlite/store.ts";
import { testStore } from "./contract.ts";
import type { OpenedStore } from "./contract.ts";
import { testDays } from "./days-contract.ts";
import { testLog } from "./log-contract.ts";
import { append, batch, columns, enrol } from "./rows.ts";

async function open(): Promise<OpenedStore> {
  const dir = mkdtempSync(join(tmpdir(), "fim-store-"));
  const store = openSqliteStore(join(dir, "collector.db"));
  return {
    store,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true });
    },
  };
}

testStore(test, open);
testLog(test, open);
testDays(test, open);

test("a program that reads while another one deletes sees batches with all of their records", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "fim-store-"));
  const file = join(dir, "collector.db");
  {
    await using store = openSqliteStore(file);
    const node = await enrol(store);
    await append(store, node, batch(1, [columns(), columns()]), batch(3, [columns()]));
    const reader = new Database(file, { readonly: true });
    let deletions = 0;
    const prepare = reader.prepare.bind(reader);
    reader.prepare = (sql: string) => {
      // After the batches, before their records.
      if (sql.includes("FROM record")) deletions += deleteAll(file);
      return prepare(sql);
    };
    const found = await new SqliteLog(reader).batches({ from: 0, to: 9, limit: 9 });
    t.true(deletions > 0);
    t.deepEqual(
      found.map(({ records }) => records.length),
      [2, 1],
    );
    reader.close();
  }
  rmSync(dir, { recursive: true });
});

function deleteAll(file: string): number {
  const other = new Database(file);
  other.exec("BEGIN; DELETE FROM alert; DELETE FROM record; DELETE FROM batch; COMMIT");
  other.close();
  return 1;
}
