import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, chmodSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { join } from "node:path";
import { ExecHistory } from "../../src/attribute/exec-history.ts";
import type { ChangeObject } from "../../src/core/text/change-json.ts";
import { needing } from "../helpers/needs.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";

/** Why no writer can be proven here. Undefined: it can. */
function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  try {
    using history = ExecHistory.open();
    return history.unidentified;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const scenario = needing(whyNot(), "serial");

const [sed, tee, mv, rm] = ["sed", "tee", "mv", "rm"].map((name) =>
  realpathSync(`/usr/bin/${name}`),
) as [string, string, string, string];

/** The agent on this machine, with one rule that names four writers. */
async function startGround(): Promise<RunningNode> {
  return await startNode({
    isMachine: true,
    engine: "auto",
    rules: ({ at }) => [
      { id: "own", paths: [at("own/**")], severity: "high", writers: [sed, tee, mv, rm] },
      { id: "mark", paths: [at("mark/**")], severity: "high" },
    ],
    prepare: ({ at, write }) => {
      mkdirSync(at("mark"));
      for (const name of ["edited", "spoiled", "removed", "untouched"])
        write(`own/${name}`, "old\n");
    },
    watch: { quickSweepEvery: "1h", fullSweepEvery: "12h" },
  });
}

let marks = 0;

/** Awaits the report of a change that follows everything so far. */
async function mark(node: RunningNode): Promise<void> {
  const path = node.at(`mark/${(marks += 1)}`);
  writeFileSync(path, "");
  await node.alerted((one) => one.path === path);
}

interface Checked {
  readonly code: number | null;
  readonly stderr: string;
  /** Of the paths below "own". */
  readonly changes: readonly ChangeObject[];
  /** "modified edited" */
  readonly said: readonly string[];
}

async function check(node: RunningNode, ...args: readonly string[]): Promise<Checked> {
  const { code, stdout, stderr } = await node.run(
    "check",
    node.at("own"),
    "--format",
    "ndjson",
    ...args,
  );
  const changes = stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as ChangeObject);
  const said = changes.map((one) => `${one.change} ${one.path.slice(node.at("own/").length)}`);
  return { code, stderr, changes, said };
}

/** An allowed writer edits one file, makes one, and removes one. */
async function change(node: RunningNode): Promise<void> {
  execFileSync(sed, ["-i", "s/old/new/", node.at("own/edited")]);
  spawnSync(tee, [node.at("own/made")], { input: "made\n" });
  execFileSync(rm, [node.at("own/removed")]);
  await mark(node);
}

scenario("what watch approved is no drift for check, which counts and lists it", async (t) => {
  await using node = await startGround();
  await change(node);
  const plain = await check(node);
  t.is(plain.code, 0, plain.stderr);
  t.deepEqual(plain.said, []);
  t.regex(plain.stderr, /no drift .*; 3 approved since then/);
  const all = await check(node, "--all");
  t.deepEqual(all.said, ["modified edited", "created made", "deleted removed"]);
  for (const one of all.changes) {
    t.is(one.verdict, "approved");
    t.regex(one.rule, /own$/);
    t.true([sed, tee, rm].includes(one.actor?.exe ?? ""), one.actor?.exe);
    t.true(Date.parse(one.at) > Date.now() - 60_000);
  }
  const { stdout } = await node.run("status", "--format", "json");
  const { drift } = JSON.parse(stdout) as { drift: Readonly<Record<string, number>> };
  // Only the mark is approved by no one.
  t.is(drift["high"], 1);
});

scenario(
  "a stranger's change to what watch approved is drift against the approved state",
  async (t) => {
    await using node = await startGround();
    await change(node);
    appendFileSync(node.at("own/edited"), "evil\n");
    await mark(node);
    const { code, said, changes } = await check(node);
    t.is(code, 1);
    t.deepEqual(said, ["modified edited"]);
    t.is(changes[0]?.before?.size, "new\n".length);
  },
);

scenario("what a stranger left does not become approved with a later allowed change", async (t) => {
  await using node = await startGround();
  chmodSync(node.at("own/spoiled"), 0o666);
  writeFileSync(node.at("mark/evil"), "evil\n");
  writeFileSync(node.at("own/evil"), "evil\n");
  await mark(node);
  execFileSync(sed, ["-i", "s/old/new/", node.at("own/spoiled")]);
  execFileSync(mv, [node.at("own/evil"), node.at("own/untouched")]);
  await mark(node);
  const { code, said } = await check(node);
  t.is(code, 1);
  t.deepEqual(said, ["modified spoiled", "modified untouched"]);
});

scenario("a rollback of what watch approved to the baseline is no restore", async (t) => {
  await using node = await startGround();
  const file = node.at("own/edited");
  execFileSync(sed, ["-i", "s/old/new/", file]);
  await mark(node);
  const reported = async (text: string) => {
    const before = node.alerts().length;
    writeFileSync(file, text);
    const sha256 = createHash("sha256").update(text).digest("hex");
    return await node.alerted((one) => one.path === file && one.after?.sha256 === sha256, before);
  };
  t.like(await reported("old\n"), { severity: "high", restored: undefined });
  t.like(await reported("new\n"), { severity: "info", restored: true, verdict: "unexpected" });
});

scenario(
  "approvals outlive accept of another path and a new key, and end with a new baseline",
  async (t) => {
    await using node = await startGround();
    await change(node);
    const accepted = await node.run("accept", node.at("own/edited"), "--reason", "test");
    t.is(accepted.code, 0, accepted.stderr);
    t.deepEqual((await check(node, "--all")).said, ["created made", "deleted removed"]);
    const rotated = await node.run("key", "rotate");
    t.is(rotated.code, 0, rotated.stderr);
    const after = await check(node, "--all");
    t.is(after.code, 0, after.stderr);
    t.deepEqual(after.said, ["created made", "deleted removed"]);
    const replaced = await node.run("baseline", "--replace", "--reason", "test");
    t.is(replaced.code, 0, replaced.stderr);
    t.deepEqual((await check(node, "--all")).said, []);
  },
);

scenario("an approval that someone wrote into the database approves nothing", async (t) => {
  await using node = await startGround();
  await change(node);
  await node.watching.stop();
  appendFileSync(node.at("own/untouched"), "evil\n");
  const db = new Database(join(node.state, "fim.db"));
  const last = db.prepare<[], { seq: number; bytes: Buffer }>(
    "SELECT seq, bytes FROM record WHERE kind = 'approval' ORDER BY seq LIMIT 1",
  );
  const { seq, bytes } = last.get() ?? { seq: 0, bytes: Buffer.alloc(0) };
  const forged = bytes.toString().replace("own/edited", "own/untouched");
  db.prepare("UPDATE record SET bytes = ?, size = ? WHERE seq = ?").run(
    Buffer.from(forged),
    forged.length,
    seq,
  );
  db.close();
  const { code, said, stderr } = await check(node);
  t.is(code, 1);
  t.true(said.includes("modified untouched") && said.includes("modified edited"), said.join());
  t.regex(stderr, /what watch approved cannot be trusted/);
});
