import { setImmediate } from "node:timers";
import Database from "better-sqlite3";
import test from "ava";
import { CommitQueue } from "../../../src/collector/store/sqlite/commit-queue.ts";

test("work that arrives within a turn of the event loop shares the commit", async (t) => {
  const db = new Database(":memory:");
  db.exec("CREATE TABLE done (name TEXT)");
  let commits = 0;
  const queue = new CommitQueue(db, () => {
    commits += 1;
  });
  const insert = db.prepare("INSERT INTO done VALUES (?)");
  const work = (name: string) => async () => insert.run(name);
  const later = new Promise((resolve) => {
    setImmediate(() => resolve(queue.run(work("second"))));
  });
  await Promise.all([queue.run(work("first")), later]);
  t.deepEqual(db.prepare("SELECT name FROM done").pluck().all(), ["first", "second"]);
  t.is(commits, 1);
  db.close();
});
