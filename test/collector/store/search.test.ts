import test from "ava";
import Database from "better-sqlite3";
import { PathNames } from "../../../src/collector/store/sqlite/path-names.ts";
import { findRecords } from "../../../src/collector/store/sqlite/search.ts";
import type { AlertQuery } from "../../../src/collector/store/store.ts";
import { readMigrations } from "../../../src/sqlite/migrate.ts";

const migrations = new URL("../../../src/collector/store/sqlite/migrations/", import.meta.url);

/** How SQLite answers each statement that the query needs. */
function plansOf(query: Partial<AlertQuery>): readonly string[] {
  const db = new Database(":memory:");
  for (const sql of readMigrations(migrations)) db.exec(sql);
  db.exec(
    "INSERT INTO node (id, cluster, name, key_id, enrolled, enrolment, heard) VALUES (1, 'c', 'n', 'k', 0, '', 0)",
  );
  db.function("in_time", { varargs: true }, () => 1);
  const plans: string[] = [];
  const explained = new Proxy(db, {
    get: (target, name) =>
      name === "prepare"
        ? (sql: string) => {
            plans.push(...explain(db, sql));
            return target.prepare(sql);
          }
        : Reflect.get(target, name),
  });
  findRecords(explained, { limit: 10, ...query }, new PathNames(db));
  db.close();
  return plans.filter((one) => one.includes("alert"));
}

function explain(db: Database.Database, sql: string): readonly string[] {
  const rows = db.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`);
  const count = sql.split("?").length - 1;
  return rows.all(...Array.from({ length: count }, () => null)).map(({ detail }) => detail);
}

const cases: readonly (readonly [query: Partial<AlertQuery>, index: string])[] = [
  [{ acknowledged: false }, "alert_open (acknowledged=? AND severity=?"],
  [{ acknowledged: false, severities: ["high"] }, "alert_open (acknowledged=? AND severity=?"],
  [{ severities: ["high", "low"] }, "alert_open (acknowledged=? AND severity=?"],
  [{ program: "/usr/bin/tee", severities: ["high"] }, "alert_program (program=? AND severity=?"],
  [{ node: "n", acknowledged: false }, "alert_node (node=? AND severity=?"],
  [{ node: "n", rule: "r", path: "/x", change: "created" }, "alert_path (path=? AND severity=?"],
  [{ incident: "i", node: "n" }, "alert_incident (incident=? AND severity=?"],
  [{ pod: "a/b", acknowledged: true }, "alert_pod (pod=? AND severity=?"],
  [{ rule: "r", acknowledged: false }, "alert_rule (rule=? AND severity=?"],
  [{ change: "deleted", before: 9 }, "alert_change (change=? AND severity=? AND record<?"],
  [{ since: 1, until: 2, acknowledged: false }, "alert_at (at>? AND at<?"],
];

test("each query reads a range of one index, in order", (t) => {
  for (const [query, index] of cases) {
    const plans = plansOf(query);
    t.true(plans.length > 0);
    for (const plan of plans) t.true(plan.includes(index), `${JSON.stringify(query)}: ${plan}`);
  }
});

test("without a filter the newest rows of the table are read", (t) => {
  t.deepEqual(plansOf({}), ["SCAN alert"]);
});
