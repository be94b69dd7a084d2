import test from "ava";
import { writeFileSync } from "node:fs";
import { startNode } from "../helpers/running-node.ts";
import { makeNode } from "../helpers/node.ts";
import { until } from "../helpers/wait.ts";

interface Status {
  readonly ok: boolean;
  readonly pid?: number;
  readonly silent?: string;
  readonly agent?: {
    readonly engine: string;
    readonly attribution: string;
    readonly ready: boolean;
  };
  readonly baseline: { readonly ok: boolean; readonly counter: number };
  readonly drift: Readonly<Record<string, number>>;
  readonly sinks: readonly { readonly ok: boolean; readonly lastSuccess?: string }[];
}

const rules = { "/srv/a": "critical", "/srv/b": "medium" } as const;

test("status is 0 while all is well, and says what runs and what was delivered", async (t) => {
  await using node = await startNode({
    rules,
    engine: "chokidar",
    prepare: ({ write }) => write("/srv/a", "a"),
    watch: { quickSweepEvery: "200ms" },
  });
  const { watching } = node;
  const ask = async () => await node.run("status", "--listen", watching.listen, "--format", "json");
  await until(async () => (await ask()).code === 0);
  const { stdout } = await ask();
  const status = JSON.parse(stdout) as Status;
  t.like(status, {
    ok: true,
    pid: watching.pid,
    agent: { engine: "chokidar", attribution: "none", ready: true },
    baseline: { ok: true, counter: 1 },
    drift: { critical: 0, high: 0, medium: 0, low: 0, info: 0 },
  });
  t.deepEqual(
    status.sinks.map(({ ok }) => ok),
    [true],
  );
  t.true(Date.parse(status.sinks[0]?.lastSuccess ?? "") > 0);
  const { stdout: text } = await node.run("status", "--listen", watching.listen);
  t.regex(text, /^ok {2}agent +process \d+, engine chokidar, attribution none\n/);
  t.regex(text, /^ok {2}quick sweep +\d+ s ago.*; every path .* within \d+ s, .* within \d+ s$/m);

  writeFileSync(node.at("/srv/a"), "changed");
  writeFileSync(node.at("/srv/b"), "new");
  await node.alerted(({ path }) => path === "/srv/a");
  await node.alerted(({ path }) => path === "/srv/b");
  const drifted = await node.run("status", "--listen", watching.listen);
  t.is(drifted.code, 1);
  t.regex(drifted.stdout, /^!! {2}drift +1 critical, 1 medium$/m);
  await until(
    async () => (await watching.metrics()).get('fim_drift_paths{severity="critical"}') === 1,
  );

  await watching.stop();
  const stopped = await node.run("status");
  t.is(stopped.code, 1);
  t.regex(stopped.stdout, /^!! {2}agent +none is running with this state\n/);
});

test("status says that an altered baseline is not trusted, and refuses where there is none", async (t) => {
  using node = makeNode({ rules });
  const none = await node.run("status");
  t.is(none.code, 3);
  t.regex(none.stderr, /baseline: there is none/);
  node.write("/srv/a", "a");
  await node.capture();
  node.query("DELETE FROM baseline");
  const altered = await node.run("status");
  t.is(altered.code, 1);
  t.regex(altered.stdout, /^!! {2}baseline +baseline: /m);
});
