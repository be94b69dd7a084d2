import test from "ava";
import Database from "better-sqlite3";
import fc from "fast-check";
import { PathNames } from "../../../src/collector/store/sqlite/path-names.ts";
import { findRecords } from "../../../src/collector/store/sqlite/search.ts";
import { readMigrations } from "../../../src/sqlite/migrate.ts";

const migrations = new URL("../../../src/collector/store/sqlite/migrations/", import.meta.url);

interface Row {
  readonly path: string | null;
  readonly severity: number;
  readonly acknowledged: number;
}

const row: fc.Arbitrary<Row> = fc.record({
  path: fc.option(fc.stringMatching(/^\/[ab[]{0,3}$/), { nil: null }),
  severity: fc.nat({ max: 4 }),
  acknowledged: fc.nat({ max: 1 }),
});

function makeStore() {
  const db = new Database(":memory:");
  for (const sql of readMigrations(migrations)) db.exec(sql);
  db.pragma("foreign_keys = OFF");
  db.function("in_time", { varargs: true }, () => 1);
  const insert =
    db.prepare(`INSERT INTO alert (uid, type, path, severity, acknowledged, at, received)
    VALUES (hex(randomblob(8)), 't', @path, @severity, @acknowledged, 0, 0)`);
  return { db, add: (rows: readonly Row[]) => void rows.map((one) => insert.run(one)) };
}

const newest = (rows: readonly Row[], fits: (one: Row) => boolean) =>
  rows.flatMap((one, at) => (fits(one) ? [at + 1] : [])).toReversed();

const fits = ({ path, severity, acknowledged }: Row) =>
  path?.includes("b") === true && acknowledged === 0 && [1, 3].includes(severity);

test("a word finds the newest alerts that hold it, also those that came since the last search", (t) => {
  const someRows = fc.array(row, { maxLength: 30 });
  fc.assert(
    fc.property(someRows, someRows, fc.boolean(), (first, second, isSmall) => {
      const { db, add } = makeStore();
      const names = new PathNames(db, isSmall ? 0 : undefined);
      const query = {
        path: "*b*",
        acknowledged: false,
        severities: ["high", "low"],
        limit: 4,
      } as const;
      const find = () => findRecords(db, query, names);
      add(first);
      t.deepEqual(find(), newest(first, fits).slice(0, 4));
      add(second);
      t.deepEqual(find(), newest([...first, ...second], fits).slice(0, 4));
      db.close();
    }),
    { numRuns: 60 },
  );
});

test("alerts behind the newest ones are found by their path", (t) => {
  const { db, add } = makeStore();
  const others = Array.from({ length: 21_000 }, () => ({
    path: "/x",
    severity: 0,
    acknowledged: 0,
  }));
  add([{ path: "/old", severity: 0, acknowledged: 0 }, ...others]);
  for (const most of [0, 1e9])
    t.deepEqual(findRecords(db, { path: "*ol?", limit: 9 }, new PathNames(again(db), most)), [1]);
});

/** The table of names belongs to the connection. */
function again(db: Database.Database): Database.Database {
  db.exec("DROP TABLE IF EXISTS temp.path_name");
  return db;
}
