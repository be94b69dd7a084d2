import test from "ava";
import { chmodSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { differing } from "../../src/reconcile/full-sweep.ts";
import { makeContext } from "../helpers/context.ts";
import type { TestContext } from "../helpers/context.ts";

const files = { "/etc/a": "as it was\n", "/etc/b": "as it was\n", "/etc/sub/c": "as it was\n" };

async function differingIn({ context }: TestContext, from?: string): Promise<readonly string[]> {
  const { node, pool, state } = context;
  const run = { node, pool, known: state.current, ...(from !== undefined && { from }) };
  const { paths, unseen } = await differing(run, state.current);
  return [...paths, ...unseen.map(({ path, errno }) => `${path}: ${errno}`)].toSorted();
}

test("an untouched tree differs nowhere", async (t) => {
  await using bench = await makeContext({ files });
  t.deepEqual(await differingIn(bench), []);
});

// The directory above differs in its times, which are part of its row.
test("what is changed, new and gone differs, and each path is named once", async (t) => {
  await using bench = await makeContext({ files });
  chmodSync(bench.at("/etc/a"), 0o600);
  bench.write("/etc/new", "new\n");
  rmSync(bench.at("/etc/sub"), { recursive: true });
  t.deepEqual(await differingIn(bench), ["/etc", "/etc/a", "/etc/new", "/etc/sub", "/etc/sub/c"]);
});

test("below a path only what it holds counts", async (t) => {
  await using bench = await makeContext({ files });
  chmodSync(bench.at("/etc/a"), 0o600);
  chmodSync(bench.at("/etc/sub/c"), 0o600);
  t.deepEqual(await differingIn(bench, "/etc/sub"), ["/etc/sub/c"]);
});

test("what lies behind a directory that became a link is gone", async (t) => {
  await using bench = await makeContext({ files });
  rmSync(bench.at("/etc/sub"), { recursive: true });
  mkdirSync(bench.at("/elsewhere"));
  bench.write("/elsewhere/c", "as it was\n");
  symlinkSync("../elsewhere", bench.at("/etc/sub"));
  t.deepEqual(await differingIn(bench), ["/etc", "/etc/sub", "/etc/sub/c"]);
});
