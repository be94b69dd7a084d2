import test from "ava";
import { cpSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backupDatabase } from "../../src/collector/store/sqlite/backup.ts";
import { IntegrityError } from "../../src/core/error.ts";
import { Reporter, send, startCollector } from "../helpers/collector.ts";

test("a restored backup asks for what it lacks, and then all is there", async (t) => {
  const state = mkdtempSync(join(tmpdir(), "fim-backup-"));
  const copy = join(state, "copy.db");
  const reporter = new Reporter();
  const later: string[] = [];
  {
    await using serving = await startCollector({ state });
    t.is((await reporter.enrol(serving)).status, 200);
    t.is((await send(serving, reporter.batch(3))).status, 200);
    // While it serves: one request is under way.
    const sending = send(serving, reporter.batch(2));
    await backupDatabase(join(state, "collector.db"), copy);
    t.is((await sending).status, 200);
    later.push(reporter.batch(4));
    t.is((await send(serving, later[0] ?? "")).status, 200);
  }
  t.is(statSync(copy).mode & 0o777, 0o600);
  cpSync(copy, join(state, "restored.db"));
  const store = `sqlite:${join(state, "restored.db")}`;
  await using serving = await startCollector({ state, store });
  later.push(reporter.batch(1));
  const answer = await send(serving, later[1] ?? "");
  t.is(answer.status, 409);
  t.is(answer.body["error"], "gap");
  const expected = Number(answer.body["expected"]);
  t.true(expected === 6 || expected === 4, "before or after the request under way");
  if (expected === 6) {
    for (const lines of later) t.is((await send(serving, lines)).status, 200);
    const types = await serving.types();
    t.is(types.filter((type) => type === "fim.alert.modified").length, 10);
  }
  rmSync(state, { recursive: true });
});

test("a backup replaces no file and needs a database", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "fim-backup-"));
  const database = join(dir, "collector.db");
  const of = { instanceOf: IntegrityError };
  await t.throwsAsync(backupDatabase(database, join(dir, "a")), {
    ...of,
    message: /there is none$/,
  });
  {
    await using _ = await startCollector({ state: dir });
    await backupDatabase(database, join(dir, "b"));
    await t.throwsAsync(backupDatabase(database, join(dir, "b")), { ...of, message: /exists$/ });
  }
  rmSync(dir, { recursive: true });
});
