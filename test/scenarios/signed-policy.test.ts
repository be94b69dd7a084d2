import test from "ava";
import { readFileSync, writeFileSync } from "node:fs";
import { get } from "../helpers/http.ts";
import { makeNode, typesOf, writePolicy } from "../helpers/node.ts";
import { until } from "../helpers/wait.ts";

test("a narrowed or softened policy makes a check incomplete, and watch reports it, until it is approved", async (t) => {
  using stage = makeNode({ rules: { "/etc/**": "high" } });
  stage.write("/etc/a", "a\n");
  stage.write("/etc/sub/b", "b\n");
  await stage.capture();
  const signed = readFileSync(stage.policy, "utf8");
  for (const [rules, what] of [
    [{ "/etc/sub/**": "high" }, /test\/rule-0: no longer watched \(2 paths, \/etc\)/],
    [{ "/etc/**": "info" }, /test\/rule-0: severity high -> info \(4 paths, \/etc\)/],
  ] as const) {
    writePolicy(stage.policy, rules);
    const { code, stderr } = await stage.run("check");
    t.is(code, 4, stderr);
    t.regex(stderr, what);
  }
  await using receiver = await stage.startReceiver();
  const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
  {
    await using watching = await stage.watch({ webhooks });
    await receiver.until(() => typesOf(receiver).includes("fim.agent.policy"));
    t.true(watching.lines.some((line) => line.includes("weaker than the signed one")));
  }
  // Accepting a path signs again, but not the policy.
  stage.write("/etc/a", "changed\n");
  t.is((await stage.run("accept", "/etc/a", "--reason", "planned")).code, 0);
  t.is((await stage.run("check")).code, 4);
  t.is(
    (await stage.run("accept", "--policy", "--reason", "planned", "--policy", stage.policy)).code,
    0,
  );
  t.is((await stage.run("check")).code, 0);
  writeFileSync(stage.policy, signed);
  t.is((await stage.run("check")).code, 0, "a stricter policy is no fault");
});

test("paths that a widened policy adds are listed and make a check incomplete until they are approved", async (t) => {
  using stage = makeNode({ rules: { "/etc/**": "high" } });
  stage.write("/etc/a", "a\n");
  stage.write("/srv/new", "x\n");
  await stage.capture();
  writePolicy(stage.policy, { "/etc/**": "high", "/srv/**": "high" });
  const { code, stderr } = await stage.run("check");
  t.is(code, 4);
  t.regex(stderr, /2 are watched but were never approved\n {2}\/srv\n {2}\/srv\/new\n/);
  t.is((await stage.run("accept", "/srv", "--reason", "seen")).code, 0);
  t.is((await stage.run("check")).code, 0);
});

test("a running watch says in its health what was never approved and what is weaker, until it is accepted", async (t) => {
  using stage = makeNode({ rules: { "/etc/**": "high" } });
  stage.write("/etc/a", "a\n");
  stage.write("/srv/new", "x\n");
  await stage.capture();
  writePolicy(stage.policy, { "/etc/**": "low", "/srv/**": "high" });
  await using watching = await stage.watch({ config: { watch: { quickSweepEvery: "1s" } } });
  const degraded = async (): Promise<readonly string[]> => {
    const { status, body } = await get(`http://${watching.listen}/healthz`);
    t.is(status, 200);
    return (JSON.parse(body) as { degraded: string[] }).degraded;
  };
  t.regex((await degraded()).join("\n"), /^never approved: 2 paths/m);
  t.regex((await degraded()).join("\n"), /^policy: weaker than the signed one: .*high -> low/m);
  t.is((await stage.run("accept", "/srv", "--reason", "seen")).code, 0);
  await until(async () => (await degraded()).length === 1, 30_000);
  t.is((await stage.run("accept", "--policy", "--reason", "planned")).code, 0);
  await until(async () => (await degraded()).length === 0, 30_000);
  t.is(await watching.stop(), 0);
});

test("a state directory of another node is refused by every command", async (t) => {
  using stage = makeNode({ rules: { "/etc/**": "high" } });
  stage.write("/etc/a", "a\n");
  t.is((await stage.run("baseline", "--node", "node1")).code, 0);
  for (const command of [["check"], ["verify"], ["accept", "--all", "--reason", "x"], ["watch"]]) {
    const { code, stderr } = await stage.run(...command, "--node", "node2");
    t.is(code, 3, command[0]);
    t.regex(stderr, /belongs to node node1 of cluster default, not to node2 of default/);
  }
  t.is((await stage.run("check", "--node", "node1")).code, 0);
});

test("an export verifies with what key show printed, before and after a rotation", async (t) => {
  using stage = makeNode({ rules: { "/etc/**": "high" } });
  stage.write("/etc/a", "a\n");
  await stage.capture();
  const show = async (name: string): Promise<string> => {
    const file = `${stage.dir}/${name}`;
    writeFileSync(file, (await stage.run("key", "show")).stdout);
    return file;
  };
  const first = await show("first.key");
  t.is((await stage.run("key", "rotate")).code, 0);
  const second = await show("second.key");
  const exported = `${stage.dir}/export.ndjson`;
  writeFileSync(exported, (await stage.run("export")).stdout);
  for (const key of [first, second])
    t.is((await stage.run("verify", exported, "--key", key)).code, 0, key);
  const { code, stderr } = await stage.run("export", "--since", "yesterday");
  t.is(code, 2);
  t.regex(stderr, /--since yesterday: expected a duration or a time/);
});
