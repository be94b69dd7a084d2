import test from "ava";
import { chmodSync, rmSync } from "node:fs";
import { accept } from "../../src/agent/commands/accept.ts";
import { findDrift } from "../../src/agent/commands/check.ts";
import { readStatus } from "../../src/agent/commands/status.ts";
import { verifyState } from "../../src/agent/commands/verify.ts";
import { makeContext } from "../helpers/context.ts";
import type { TestContext } from "../helpers/context.ts";

const files = { "/etc/a": "as it was\n", "/etc/b": "as it was\n", "/etc/sub/c": "as it was\n" };
const rules = [
  { paths: ["/etc/**"], severity: "medium" },
  { id: "test/a", paths: ["/etc/a"], severity: "critical" },
] as const;

async function drifting({ context: { node, state } }: TestContext, ...paths: readonly string[]) {
  const { changes } = await findDrift(node, state, { paths });
  return changes.map(({ severity, change }) => `${severity} ${change.kind} ${change.path}`);
}

test("check names every difference, the most severe first, and below a path only those", async (t) => {
  await using bench = await makeContext({ files, rules });
  t.deepEqual(await drifting(bench), []);
  chmodSync(bench.at("/etc/a"), 0o600);
  chmodSync(bench.at("/etc/b"), 0o600);
  bench.write("/etc/sub/d", "new\n");
  t.deepEqual(await drifting(bench), [
    "critical modified /etc/a",
    "medium modified /etc/b",
    "medium created /etc/sub/d",
  ]);
  t.deepEqual(await drifting(bench, "/etc/sub"), ["medium created /etc/sub/d"]);
});

test("accept takes a path with everything below it into the baseline, and nothing else", async (t) => {
  await using bench = await makeContext({ files, rules });
  const { node, state } = bench.context;
  chmodSync(bench.at("/etc/a"), 0o600);
  bench.write("/etc/sub/d", "new\n");
  rmSync(bench.at("/etc/sub/c"));
  const how = { settings: bench.settings, paths: ["/etc/sub"], reason: "planned" };
  const { statement, looks } = await accept(node, state, how);
  t.is(statement.counter, 2);
  t.is(statement.reason, "planned");
  t.deepEqual(
    looks.map(({ path }) => path),
    ["/etc/sub/c", "/etc/sub/d"],
  );
  t.deepEqual(await drifting(bench), ["critical modified /etc/a"]);
  const { baseline, chain } = verifyState(state);
  t.true(baseline.ok);
  t.true(chain.ok);
});

test("verify finds an altered row and an altered record, each as what it is", async (t) => {
  await using bench = await makeContext({ files, rules });
  const { state } = bench.context;
  state.db.exec("UPDATE baseline SET row = CAST('{}' AS BLOB) WHERE path = CAST('/etc/a' AS BLOB)");
  const row = verifyState(state);
  t.false(row.baseline.ok);
  t.true(row.chain.ok);
  state.db.exec("UPDATE record SET bytes = CAST(bytes || ' ' AS BLOB) WHERE seq = 2");
  const record = verifyState(state).chain;
  t.like(record, { ok: false, seq: 2 });
});

test("status without an agent says so, and counts the drift that was last seen", async (t) => {
  await using bench = await makeContext({ files, rules });
  const { node, state } = bench.context;
  const calm = await readStatus(node, bench.settings);
  t.like(calm, { ok: false, pid: undefined, baseline: { ok: true, counter: 1 } });
  t.is(calm.drift.critical, 0);
  const after = node.observer.observe("/etc/a", { hash: true });
  if (after) state.current.put("/etc/a", { ...after, mode: 0o666 });
  t.is((await readStatus(node, bench.settings)).drift.critical, 1);
});
