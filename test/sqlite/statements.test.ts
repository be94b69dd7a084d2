import test from "ava";
import Database from "better-sqlite3";
import { Statements } from "../../src/sqlite/statements.ts";

test("rows are inserted in their order, however many they are", (t) => {
  const db = new Database(":memory:");
  db.exec("CREATE TABLE t (a INTEGER UNIQUE, b TEXT)");
  const statements = new Statements(db);
  for (const count of [0, 1, 15, 16, 17, 50]) {
    db.exec("DELETE FROM t");
    const rows = Array.from({ length: count }, (_, at) => [at, `row ${at}`]);
    statements.insertRows("INSERT INTO t (a, b)", rows);
    statements.insertRows("INSERT INTO t (a, b)", rows, "ON CONFLICT DO NOTHING");
    t.deepEqual(db.prepare("SELECT a, b FROM t ORDER BY rowid").raw().all(), rows);
  }
});
