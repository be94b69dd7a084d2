import Database from "better-sqlite3";
import test from "ava";
import { schemaFaults, schemaText } from "../../src/sqlite/schema.ts";

const migrations = [
  "CREATE TABLE a (x INTEGER PRIMARY KEY, y TEXT) STRICT; CREATE INDEX a_y ON a (y);",
  "CREATE TABLE b (x INTEGER PRIMARY KEY) STRICT;",
];

function faultsAfter(sql: string): string {
  const db = new Database(":memory:");
  try {
    for (const one of migrations) db.exec(one);
    db.exec(sql);
    return schemaText(schemaFaults(db, migrations));
  } finally {
    db.close();
  }
}

test("the schema of the migrations has no fault", (t) => {
  t.is(faultsAfter("INSERT INTO a VALUES (1, 'x')"), "");
});

for (const [sql, fault] of [
  ["CREATE TRIGGER t BEFORE INSERT ON a BEGIN SELECT raise(ignore); END", "unexpected trigger t"],
  ["CREATE VIEW v AS SELECT 1", "unexpected view v"],
  ["CREATE TABLE c (x)", "unexpected table c"],
  ["ALTER TABLE b ADD COLUMN z TEXT", "altered table b"],
  ["DROP INDEX a_y", "missing index a_y"],
  ["CREATE UNIQUE INDEX u ON a (y)", "unexpected index u"],
] as const)
  test(`${sql} is found`, (t) => {
    t.is(faultsAfter(sql), fault);
  });
