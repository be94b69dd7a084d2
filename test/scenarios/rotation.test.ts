import test from "ava";
import type { ExecutionContext } from "ava";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as immediate } from "node:timers/promises";
import { parseRecord } from "../../src/core/record/chain.ts";
import { parseEnvelope } from "../../src/core/record/dsse.ts";
import { get } from "../helpers/http.ts";
import type { Watching } from "../helpers/agent.ts";
import { until } from "../helpers/wait.ts";
import { makeNode } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { launch } from "../helpers/processes.ts";

const config = { watch: { fullSweepEvery: "1s", quickSweepEvery: "1s" } };
const longest = 30_000;

async function rotate(t: ExecutionContext, stage: TestNode): Promise<string> {
  const { code, stdout, stderr } = await stage.run("key", "rotate", "--format", "json");
  t.is(code, 0, stderr);
  return (JSON.parse(stdout) as { key: string }).key;
}

async function verify(t: ExecutionContext, stage: TestNode): Promise<void> {
  const { code, stdout, stderr } = await stage.run("verify");
  t.is(code, 0, stdout + stderr);
}

/** For every batch the number of its last record, and who signed it. */
function signers(stage: TestNode): readonly { readonly last: number; readonly by: string }[] {
  return stage
    .query("SELECT last, envelope FROM batch ORDER BY last")
    .map(({ last, envelope }) => ({
      last: Number(last),
      by: parseEnvelope(String(envelope))?.signatures[0]?.keyid ?? "",
    }));
}

/** What was said to be wrong with the state or its baseline. */
function complaints(stage: TestNode): readonly unknown[] {
  const own: readonly unknown[] = ["baseline", "state"];
  return stage
    .records()
    .map(({ body }) => body)
    .filter(({ event, trouble }) => event === "degraded" && own.includes(trouble));
}

/** Awaits this many full sweeps; no two of them take equally long. */
async function fullSweeps(watching: Watching, many: number): Promise<void> {
  const durations = new Set<number | undefined>();
  await until(async () => {
    const metrics = await watching.metrics();
    durations.add(metrics.get('fim_sweep_duration_seconds{sweep="full"}'));
    return durations.size > many;
  }, longest);
}

async function reported(stage: TestNode, path: string): Promise<number> {
  return await until(
    () => stage.records().find(({ body }) => JSON.stringify(body).includes(`"${path}"`))?.seq,
    longest,
  );
}

test("a running watch takes up a key that was rotated, and the old one signs nothing after it", async (t) => {
  using stage = makeNode({ rules: { "/srv/**": "high" } });
  stage.write("/srv/a", "a\n");
  await stage.capture();
  await using watching = await stage.watch({ config });
  for (const name of ["one", "two"]) {
    const key = await rotate(t, stage);
    stage.write(`/srv/${name}`, name);
    const seq = await reported(stage, `/srv/${name}`);
    t.is(signers(stage).find(({ last }) => last >= seq)?.by, key, "the alert is by the new key");
    await fullSweeps(watching, 2);
    t.is((await get(`http://${watching.listen}/healthz`)).status, 200);
    await verify(t, stage);
  }
  t.is(await watching.stop(), 0);
  t.deepEqual(complaints(stage), []);
  t.is(new Set(signers(stage).map(({ by }) => by)).size, 3);
  await verify(t, stage);
});

test("a key is rotated twice where nothing watches, and what comes then is signed by the last", async (t) => {
  using stage = makeNode({ rules: { "/srv/**": "high" } });
  stage.write("/srv/a", "a\n");
  await stage.capture();
  await rotate(t, stage);
  const key = await rotate(t, stage);
  await verify(t, stage);
  stage.write("/srv/b", "b\n");
  await using watching = await stage.watch({ config });
  const seq = await reported(stage, "/srv/b");
  t.is(signers(stage).find(({ last }) => last >= seq)?.by, key);
  t.is(await watching.stop(), 0);
  await verify(t, stage);
});

/** What a rotation replaces: the texts of keys.json and agent.key, and the number of the record. */
interface Before {
  readonly former: string;
  readonly key: string;
  readonly rekey: number;
}

test("a rotation that is killed at any moment leaves a watch that is well and a chain that verifies", async (t) => {
  using stage = makeNode({ rules: { "/srv/**": "high" } });
  stage.write("/srv/a", "a\n");
  await stage.capture();
  await using watching = await stage.watch({ config });
  const keyFile = join(stage.state, "agent.key");
  const former = join(stage.state, "keys.json");
  /** Each is awaited, and then the rotation is killed. */
  const moments: readonly ((was: Before) => boolean)[] = [
    (was) => textOf(former) !== was.former,
    (was) => textOf(keyFile) !== was.key,
    (was) => lastRekey(stage) > was.rekey,
  ];
  for (const [at, isThere] of moments.entries()) {
    const was = { former: textOf(former), key: textOf(keyFile), rekey: lastRekey(stage) };
    const { child, ended } = launch(["key", "rotate", ...stage.args]);
    while (!isThere(was) && child.exitCode === null) await immediate();
    child.kill("SIGKILL");
    await ended;
    stage.write(`/srv/${at}`, `${at}`);
    await reported(stage, `/srv/${at}`);
    await verify(t, stage);
  }
  await rotate(t, stage);
  await fullSweeps(watching, 2);
  t.is((await get(`http://${watching.listen}/healthz`)).status, 200);
  t.is(await watching.stop(), 0);
  t.deepEqual(complaints(stage), []);
  await verify(t, stage);
});

function textOf(file: string): string {
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

function lastRekey(stage: TestNode): number {
  const [row] = stage.query(
    "SELECT bytes FROM record WHERE kind = 'rekey' ORDER BY seq DESC LIMIT 1",
  );
  return row ? (parseRecord(row["bytes"] as Buffer)?.seq ?? 0) : 0;
}
