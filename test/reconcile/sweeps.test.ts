import test from "ava";
import Database from "better-sqlite3";
import { chmodSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { Sweeps } from "../../src/reconcile/sweeps.ts";
import { makeContext } from "../helpers/context.ts";
import type { TestContext } from "../helpers/context.ts";
import { until } from "../helpers/wait.ts";

const files = { "/etc/a": "as it was\n", "/etc/b": "as it was\n", "/etc/sub/c": "as it was\n" };

/** The paths at which the sweeps hint next, until one of them is there. */
async function hintedUntil({ context }: TestContext, path: string): Promise<readonly string[]> {
  const found = new Set<string>();
  for await (const { paths } of context.coalescer) {
    for (const one of paths) found.add(one.path);
    if (found.has(path)) break;
  }
  return [...found].toSorted();
}

test("a quick sweep leads to what is changed, gone and new, and to nothing else", async (t) => {
  await using bench = await makeContext({ files, watch: { quickSweepEvery: 20 } });
  const sweeps = new Sweeps(bench.context);
  let rounds = 0;
  sweeps.start(
    () => true,
    () => (rounds += 1),
  );
  try {
    chmodSync(bench.at("/etc/a"), 0o600);
    t.deepEqual(await hintedUntil(bench, "/etc/a"), ["/etc/a"]);
    rmSync(bench.at("/etc/sub/c"));
    t.true((await hintedUntil(bench, "/etc/sub/c")).includes("/etc/sub/c"));
    bench.write("/etc/sub/d", "new\n");
    const found = await hintedUntil(bench, "/etc/sub");
    t.false(found.includes("/etc/b"), found.join());
    t.true(rounds > 0);
  } finally {
    sweeps.stop();
  }
});

test("what was learned is no news for the next quick sweep", async (t) => {
  await using bench = await makeContext({ files, watch: { quickSweepEvery: 20 } });
  const { node } = bench.context;
  chmodSync(bench.at("/etc/a"), 0o600);
  const after = node.observer.observe("/etc/a", { hash: true });
  const sweeps = new Sweeps(bench.context);
  sweeps.learn([{ path: "/etc/a", ...(after && { after }) }]);
  sweeps.start(
    () => true,
    () => undefined,
  );
  try {
    chmodSync(bench.at("/etc/b"), 0o600);
    t.deepEqual(await hintedUntil(bench, "/etc/b"), ["/etc/b"]);
  } finally {
    sweeps.stop();
  }
});

test("a full sweep finds another content under the same size and times", async (t) => {
  await using bench = await makeContext({ files, watch: { fullSweepEvery: 20 } });
  const sweeps = new Sweeps(bench.context);
  const { atime, mtime } = statSync(bench.at("/etc/a"));
  bench.write("/etc/a", "as it isn\n");
  utimesSync(bench.at("/etc/a"), atime, mtime);
  sweeps.start(
    () => true,
    () => undefined,
  );
  try {
    t.true((await hintedUntil(bench, "/etc/a")).includes("/etc/a"));
  } finally {
    sweeps.stop();
  }
});

test("a full sweep verifies the baseline, and its trouble ends with it", async (t) => {
  await using bench = await makeContext({ files, watch: { fullSweepEvery: 20 } });
  const { health } = bench.context;
  const sweeps = new Sweeps(bench.context);
  const other = new Database(join(bench.settings.state, "fim.db"));
  const row = other
    .prepare<[], Buffer>("SELECT row FROM baseline WHERE path = CAST('/etc/a' AS BLOB)")
    .pluck()
    .get();
  const put = other.prepare("UPDATE baseline SET row = ? WHERE path = CAST('/etc/a' AS BLOB)");
  sweeps.start(
    () => true,
    () => undefined,
  );
  try {
    put.run(Buffer.from("{}"));
    await until(() => health.sick().length > 0);
    t.regex(health.sick().join(), /^baseline: .* altered/);
    put.run(row);
    await until(() => health.sick().length === 0);
  } finally {
    sweeps.stop();
    other.close();
  }
});
