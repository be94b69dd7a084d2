import test from "ava";
import { createHash } from "node:crypto";
import type { ExecutionContext } from "ava";
import Database from "better-sqlite3";
import { spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { runAgent } from "../helpers/agent.ts";
import { makeNode } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";

const policy = `name: small
description: A few files
rules:
  - id: all
    paths: ["/etc/app/**"]
    class: immutable
    severity: high
    why: Everything here is code or configuration.
  - id: key
    paths: [/etc/app/key]
    class: immutable
    severity: critical
    why: A process that has this key is the node.
`;
const files = { "/etc/app/one": "1\n", "/etc/app/two": "2\n", "/etc/app/sub/three": "3\n" };

function makeSmall(): TestNode {
  const small = makeNode({ rules: [] });
  writeFileSync(small.policy, policy);
  for (const [path, text] of Object.entries({ ...files, "/etc/app/key": "k\n" }))
    small.write(path, text);
  return small;
}

async function makeCaptured(t: ExecutionContext): Promise<TestNode> {
  const small = makeSmall();
  const { code, stderr } = await small.run("baseline");
  t.is(code, 0, stderr);
  return small;
}

type Ended = Awaited<ReturnType<typeof runAgent>>;

/** A refusal: its exit code, one message with these words, no stack trace, nothing on stdout. */
function refused(t: ExecutionContext, { code, stdout, stderr }: Ended, due: Refusal): void {
  t.is(code, due.code, stderr);
  t.is(stdout, "");
  t.regex(stderr, /^fim-agent: /m);
  t.regex(stderr, due.says);
  t.notRegex(stderr, /^\s+at /m);
}

interface Refusal {
  readonly code: number;
  readonly says: RegExp;
}

interface Line {
  readonly path: string;
  readonly change: string;
}

function linesOf(stdout: string): readonly Line[] {
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

test.serial(
  "baseline refuses where there is one, unless it is replaced with a reason",
  async (t) => {
    using small = await makeCaptured(t);
    refused(t, await small.run("baseline"), { code: 3, says: /--replace --reason/ });
    refused(t, await small.run("baseline", "--replace"), { code: 2, says: /expected --reason/ });
    refused(t, await small.run("baseline", "--replace", "--reason", " "), {
      code: 2,
      says: /expected --reason/,
    });
    writeFileSync(small.at("/etc/app/one"), "another\n");
    const args = ["baseline", "--replace", "--reason", "rebuilt", "--format", "json"];
    const replaced = await small.run(...args);
    t.is(replaced.code, 0);
    t.like(JSON.parse(replaced.stdout), { counter: 2, incomplete: [] });
    t.is((await small.run("check")).code, 0);
  },
);

test.serial(
  "accept shows the differences first, and signs only what it was asked for",
  async (t) => {
    using small = await makeCaptured(t);
    const run = async (...args: readonly string[]) =>
      await small.run("accept", "/etc/app/one", ...args);
    const nothing = await run("--reason", "x");
    t.is(nothing.code, 0, nothing.stderr);
    t.regex(nothing.stdout, /nothing to accept, counter 1 stays/);
    writeFileSync(small.at("/etc/app/one"), "another\n");
    const dry = await run("--dry-run");
    t.is(dry.code, 0, dry.stderr);
    t.regex(dry.stdout, /^\/etc\/app\/one modified: content .*\nwould accept \/etc\/app\/one\n/);
    t.is((await small.run("check")).code, 1);
    const sha256 = createHash("sha256").update("another\n").digest("hex");
    const other = await run(
      "--reason",
      "x",
      "--expect",
      sha256.replace(/^./, (one) => (one === "0" ? "1" : "0")),
    );
    refused(t, other, { code: 2, says: /its content has SHA-256/ });
    refused(t, await run("--reason", "x", "--expect", "abc"), {
      code: 2,
      says: /one path and its SHA/,
    });
    const good = await run("--reason", "x", "--expect", sha256, "--format", "json");
    t.is(good.code, 0, good.stderr);
    t.like(JSON.parse(good.stdout), { counter: 2, accepted: ["/etc/app/one"] });
    t.like(small.records().at(-1)?.body, { what: "accepted", by: { uid: process.getuid?.() } });
    t.is((await small.run("check")).code, 0);
  },
);

test.serial("baseline --if-missing captures once, and keeps a trusted one as it is", async (t) => {
  using small = makeSmall();
  const run = async () => await small.run("baseline", "--if-missing", "--format", "json");
  const first = await run();
  t.is(first.code, 0, first.stderr);
  t.like(JSON.parse(first.stdout), { counter: 1, kept: undefined });
  writeFileSync(small.at("/etc/app/one"), "another\n");
  const second = await run();
  t.is(second.code, 0, second.stderr);
  t.like(JSON.parse(second.stdout), { counter: 1, kept: true });
  t.is((await small.run("check")).code, 1);
  const both = ["baseline", "--if-missing", "--replace", "--reason", "x"];
  refused(t, await small.run(...both), { code: 2, says: /exclude each other/ });
  sql("UPDATE statement SET counter = 7")(small.state);
  refused(t, await small.run("baseline", "--if-missing"), { code: 3, says: /altered/ });
  rmSync(join(small.state, "fim.db"));
  refused(t, await small.run("baseline", "--if-missing"), { code: 3, says: /gone|deleted/ });
});

test.serial(
  "without a baseline every command that needs one refuses, and makes nothing",
  async (t) => {
    using small = makeSmall();
    for (const command of [["check"], ["verify"], ["watch"], ["accept", "--all", "--reason", "x"]])
      refused(t, await small.run(...command), {
        code: 3,
        says: /there is none[^]*fim-agent baseline/,
      });
    t.deepEqual(readdirSync(small.dir).toSorted(), ["policy.yaml", "root", "webhook.key"]);
  },
);

type Alter = (state: string) => void;

/** Runs SQL on a copy of the agent's database. */
function sql(statement: string): Alter {
  return (state) => {
    const db = new Database(join(state, "fim.db"));
    try {
      db.function("flip", (value) => flipped(value as Buffer));
      const { changes } = db.prepare(statement).run();
      if (changes === 0) throw new Error(`nothing was altered by ${statement}`);
    } finally {
      db.close();
    }
  };
}

/** Another digit in the place of the last one: a size, a time or a digest. */
function flipped(row: Buffer): Buffer {
  const text = row.toString("latin1");
  const at = text.search(/\d\D*$/);
  const digit = (Number(text[at]) + 1) % 10;
  return Buffer.from(`${text.slice(0, at)}${digit}${text.slice(at + 1)}`, "latin1");
}

/** What an envelope's JSON holds, changed. */
function envelope(
  change: (envelope: { payload: string; signatures: { sig: string }[] }) => void,
): Alter {
  return (state) => {
    const db = new Database(join(state, "fim.db"));
    try {
      const text = db.prepare("SELECT envelope FROM statement").pluck().get() as string;
      const parsed = JSON.parse(text) as { payload: string; signatures: { sig: string }[] };
      change(parsed);
      db.prepare("UPDATE statement SET envelope = ?").run(JSON.stringify(parsed));
    } finally {
      db.close();
    }
  };
}

/** A byte in the middle of base64 text, flipped. */
function otherBase64(text: string): string {
  const bytes = Buffer.from(text, "base64");
  const at = bytes.length >> 1;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes.toString("base64");
}

const onePath = `path = CAST('/etc/app/one' AS BLOB)`;

const alterations: readonly (readonly [what: string, alter: Alter, word: RegExp])[] = [
  ["a row's content", sql(`UPDATE baseline SET row = flip(row) WHERE ${onePath}`), /rows/],
  ["a row taken out", sql(`DELETE FROM baseline WHERE ${onePath}`), /rows/],
  [
    "a row added",
    sql("INSERT INTO baseline SELECT CAST('/etc/app/new' AS BLOB), row FROM baseline LIMIT 1"),
    /rows/,
  ],
  [
    "a row under another path",
    sql(`UPDATE baseline SET path = CAST('/etc/app/0ne' AS BLOB) WHERE ${onePath}`),
    /rows/,
  ],
  [
    "the signature",
    envelope(({ signatures: [first] }) => {
      if (first) first.sig = otherBase64(first.sig);
    }),
    /signature/,
  ],
  ["no signature at all", envelope((one) => void (one.signatures = [])), /signature/],
  [
    "the signed statement",
    envelope((one) => {
      const text = Buffer.from(one.payload, "base64").toString();
      one.payload = Buffer.from(text.replace(/"reason":"[^"]*"/, '"reason":"else"')).toString(
        "base64",
      );
    }),
    /signature/,
  ],
  ["the counter", sql("UPDATE statement SET counter = counter + 7"), /counter/],
  ["the policy", sql("UPDATE statement SET policy = '[]'"), /policy/],
  ["the anchor file", (state) => writeFileSync(join(state, "anchor.json"), "{}\n"), /anchor/],
  ["no anchor file", (state) => rmSync(join(state, "anchor.json")), /anchor/],
  ["no key", (state) => rmSync(join(state, "agent.key")), /key/],
  ["a damaged key", (state) => writeFileSync(join(state, "agent.key"), "no key\n"), /key/],
  ["no statement", sql("DELETE FROM statement"), /gone|deleted|missing/],
  ["no database", (state) => rmSync(join(state, "fim.db")), /gone|deleted|missing/],
];

test.serial(
  "whatever is altered in the state, check and verify refuse and say what it was",
  async (t) => {
    using small = await makeCaptured(t);
    using other = await makeCaptured(t);
    const good = small.beside("good");
    cpSync(small.state, good, { recursive: true });
    const foreignKey: Alter = (state) =>
      cpSync(other.beside("state/agent.key"), join(state, "agent.key"));
    for (const [what, alter, word] of [
      ...alterations,
      ["another key", foreignKey, /key/] as const,
    ]) {
      rmSync(small.state, { recursive: true });
      cpSync(good, small.state, { recursive: true });
      alter(small.state);
      const checked = await small.run("check");
      t.is(checked.code, 3, `${what}: ${checked.stderr}`);
      t.is(checked.stdout, "", what);
      t.regex(checked.stderr, word, what);
      const verified = await small.run("verify");
      t.is(verified.code, 3, `${what}: ${verified.stderr}`);
      t.regex(verified.stdout + verified.stderr, word, what);
    }
  },
);

test.serial(
  "an altered baseline is neither accepted into, nor captured over, nor watched with",
  async (t) => {
    using small = await makeCaptured(t);
    sql(`UPDATE baseline SET row = flip(row) WHERE ${onePath}`)(small.state);
    writeFileSync(small.at("/etc/app/one"), "another\n");
    refused(t, await small.run("accept", "/etc/app/one", "--reason", "x"), {
      code: 3,
      says: /rows/,
    });
    refused(t, await small.run("baseline"), { code: 3, says: /fim-agent: baseline/ });
    const watched = await small.run("watch", "--engine", "sweep", "--listen", "127.0.0.1:0");
    t.is(watched.code, 3);
    t.regex(watched.stderr, /rows/);
  },
);

test.serial("a deleted database is no reason to capture again without being asked", async (t) => {
  using small = await makeCaptured(t);
  rmSync(small.beside("state/fim.db"));
  t.is((await small.run("baseline")).code, 3);
  const args = ["baseline", "--replace", "--reason", "lost", "--format", "json"];
  const replaced = await small.run(...args);
  t.is(replaced.code, 0);
  t.like(JSON.parse(replaced.stdout), { counter: 2 }, "the counter goes on");
});

test.serial("a database put back to an older copy is seen by its counter", async (t) => {
  using small = await makeCaptured(t);
  cpSync(small.beside("state/fim.db"), small.beside("old.db"));
  writeFileSync(small.at("/etc/app/one"), "another\n");
  t.is((await small.run("accept", "/etc/app/one", "--reason", "x")).code, 0);
  rmSync(small.beside("state/fim.db"));
  cpSync(small.beside("old.db"), small.beside("state/fim.db"));
  const { code, stdout, stderr } = await small.run("check");
  t.is(code, 3);
  t.is(stdout, "");
  t.regex(stderr, /counter.*rolled back to 1.*2/);
});

const misuses: readonly (readonly [args: readonly string[], says: RegExp])[] = [
  [[], /command/],
  [["chekc"], /chekc/],
  [["check", "--nope"], /nope/],
  [["check", "--format", "xml"], /--format.*table, json, ndjson/],
  [["watch", "--engine", "inotify"], /--engine.*fanotify/],
  [["watch", "--listen", "nowhere"], /--listen/],
  [["check", "etc/app"], /absolute/],
  [["check", "/etc/app/../shadow"], /\.\./],
  [["accept", "--reason", "x"], /paths or --all/],
  [["accept", "/etc/app/one", "--all", "--reason", "x"], /paths or --all/],
  [["accept", "/etc/app/one"], /--reason/],
  [["check", "--policy", "nosuch"], /nosuch/],
  [["check", "--policy", "/nosuch.yaml"], /nosuch\.yaml/],
  [["check", "--config", "/nosuch.yaml"], /nosuch\.yaml/],
  [["baseline", "--root", "/"], /--root: given twice/],
  [["check", "--state", "/nosuch"], /--state: given twice/],
  [["watch", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:1"], /--listen: given twice/],
  [["doctor", "--node", "a", "--node", "b"], /--node: given twice/],
  [["check", "--config", "a", "--config", "b"], /--config: given twice/],
  [["check", "--log-level", "warn", "--log-level", "info"], /--log-level: given twice/],
  [["check", "--logLevel", "warn", "--log-level", "info"], /--log-level: given twice/],
  [["accept", "--all", "--reason", "a", "--reason", "b"], /--reason: given twice/],
  [["verify", "export", "--key", "a", "--key", "b"], /--key: given twice/],
  [["verify", "--key", "a"], /--key: expected an exported file/],
  [["policy", "explain"], /expected one path/],
  [["policy", "explain", "--path", "/a", "--path", "/b"], /expected one path/],
  [["doctor", "--no-root"], /no-root/],
  [["doctor", "--no-policy"], /no-policy/],
  [["doctor", "--root.name", "a"], /root\.name/],
  [["check", "--root", "--state", "a"], /root/],
];

test.serial("wrong usage is refused with 2 and says what was expected", async (t) => {
  using small = await makeCaptured(t);
  for (const [args, says] of misuses) {
    const ended = await small.run(...args);
    refused(t, ended, { code: 2, says });
  }
});

test.serial("an option that lacks its value is wrong usage, whichever it is", async (t) => {
  using small = await makeCaptured(t);
  for (const option of ["root", "state", "policy", "config", "log-level"])
    refused(t, await runAgent(["doctor", ...small.args, `--${option}`]), {
      code: 2,
      says: new RegExp(option),
    });
});

test.serial("what follows -- is paths and files, whatever they begin with", async (t) => {
  using small = await makeCaptured(t);
  appendFileSync(small.at("/etc/app/one"), "more\n");
  appendFileSync(small.at("/etc/app/sub/three"), "more\n");
  const run = (...args: readonly string[]) =>
    runAgent(args.toSpliced(args.indexOf("--"), 0, ...small.args), { cwd: small.dir });
  const two = await run("check", "--", "/etc/app/two");
  t.is(two.code, 0, two.stderr);
  const sub = await run("check", "/etc/app/two", "--format", "ndjson", "--", "/etc/app/sub");
  t.is(sub.code, 1, sub.stderr);
  t.deepEqual(
    linesOf(sub.stdout).map(({ path }) => path),
    ["/etc/app/sub/three"],
  );
  refused(t, await run("check", "--", "--root"), { code: 2, says: /absolute/ });
  refused(t, await run("accept", "--reason", "x", "--", "--all"), { code: 2, says: /absolute/ });
  const accepted = await run("accept", "--reason", "x", "--", "/etc/app/one");
  t.is(accepted.code, 0, accepted.stderr);
  t.regex(accepted.stdout, /accepted \/etc\/app\/one\n/);
  const explained = await run("policy", "explain", "--", "/etc/app/key");
  t.regex(explained.stdout, /^\/etc\/app\/key: small\/key/);
  refused(t, await run("verify", "--", "-nosuch"), { code: 2, says: /-nosuch/ });
  cpSync(small.policy, small.beside("-odd.yaml"));
  const linted = await run("policy", "lint", "--", "-odd.yaml", "policy.yaml");
  t.is(linted.code, 0, linted.stderr);
  t.regex(linted.stdout, /-odd\.yaml, 2 rules\nOK: policy\.yaml, 2 rules\n$/);
  refused(t, await run("verify", "one", "--", "two"), { code: 2, says: /unknown argument: two/ });
  refused(t, await run("doctor", "--", "more"), { code: 2, says: /unknown argument: more/ });
  for (const line of ["-- doctor", "-- check", "policy -- show", "-- key show"])
    refused(t, await runAgent(line.split(" ")), { code: 2, says: /is needed/ });
  for (const option of ["--help", "--version"]) t.is((await runAgent([option])).code, 0);
  refused(t, await runAgent(["doctor", "--root", "--", "/etc"]), { code: 2, says: /root/ });
  refused(t, await runAgent(["accept", "/etc", "--reason", "--", "/usr"]), {
    code: 2,
    says: /--reason/,
  });
});

test.serial("policy commands keep to the format that is asked for", async (t) => {
  using small = makeSmall();
  const file = small.policy;
  for (const command of [
    ["policy", "lint"],
    ["policy", "lint", file, file],
    ["policy", "show"],
    ["policy", "explain", "/etc/app/key"],
  ]) {
    const json = await small.run(...command, "--format", "json");
    t.is(json.code, 0, json.stderr);
    const whole = JSON.parse(json.stdout) as unknown;
    const ndjson = await small.run(...command, "--format", "ndjson");
    t.is(ndjson.code, 0, ndjson.stderr);
    const lines: readonly unknown[] = linesOf(ndjson.stdout);
    t.deepEqual(Array.isArray(whole) ? whole : [whole], lines);
  }
  const lint = await small.run("policy", "lint", file, "--format", "ndjson");
  t.deepEqual(JSON.parse(lint.stdout), { policy: file, ok: true, rules: 2, warnings: [] });
});

test.serial("policy lint reports every problem of every file", async (t) => {
  using small = makeSmall();
  const good = small.policy;
  const [one, two, none] = ["one", "two", "none"].map((name) => small.beside(`${name}.yaml`));
  writeFileSync(one ?? "", policy.replace("severity: high", "severity: grave"));
  writeFileSync(two ?? "", policy.replaceAll("class: immutable", "class: frozen"));
  const linted = [one, good, two, none].map(String);
  const { code, stdout, stderr } = await runAgent(["policy", "lint", ...linted]);
  t.is(code, 2, stderr);
  t.is(stdout, `OK: ${good}, 2 rules\n`);
  for (const place of [`${one}:7: `, `${two}:6: `, `${two}:11: `, `${none}:1: no such file`])
    t.true(stderr.includes(place), stderr);
  const ndjson = await runAgent(["policy", "lint", ...linted, "--format", "ndjson"]);
  t.is(ndjson.code, 2);
  const reported = linesOf(ndjson.stdout) as readonly unknown[] as readonly {
    readonly policy: string;
    readonly ok: boolean;
    readonly fault?: string;
  }[];
  t.deepEqual(
    reported.map((each) => [each.policy, each.ok]),
    linted.map((file) => [file, file === good]),
  );
  t.regex(reported[0]?.fault ?? "", /one\.yaml:7: /);
});

test.serial("a policy that watches nothing is refused", async (t) => {
  using small = makeSmall();
  writeFileSync(small.policy, "name: small\n");
  for (const command of [["baseline"], ["policy", "lint"], ["policy", "show"]])
    refused(t, await small.run(...command), { code: 2, says: /policy\.yaml:1: .*no rule/ });
});

test.serial("a bad policy is refused with every problem, each with file and line", async (t) => {
  using small = makeSmall();
  const file = small.beside("bad.yaml");
  writeFileSync(
    file,
    policy
      .replace("severity: high", "severity: grave")
      .replace("class: immutable", "class: frozen"),
  );
  const args = ["--root", small.root, "--state", small.state];
  for (const command of [["baseline"], ["check"], ["policy", "lint"]]) {
    const { code, stdout, stderr } = await runAgent([...command, ...args, "--policy", file]);
    t.is(code, 2, stderr);
    const said = stdout + stderr;
    t.true(said.includes(`${file}:6`), said);
    t.true(said.includes(`${file}:7`), said);
  }
  t.deepEqual(readdirSync(small.dir).toSorted(), [
    "bad.yaml",
    "policy.yaml",
    "root",
    "webhook.key",
  ]);
});

test.serial(
  "accepting one path leaves the drift of the other, and accepting all leaves none",
  async (t) => {
    using small = await makeCaptured(t);
    writeFileSync(small.at("/etc/app/one"), "another\n");
    rmSync(small.at("/etc/app/two"));
    writeFileSync(small.at("/etc/app/new"), "new\n");
    const args = ["accept", "/etc/app/one", "--reason", "ticket 7", "--format", "json"];
    const one = await small.run(...args);
    t.is(one.code, 0);
    t.like(JSON.parse(one.stdout), { counter: 2, accepted: ["/etc/app/one"] });
    const between = await small.run("check", "--format", "ndjson");
    t.is(between.code, 1);
    t.deepEqual(
      linesOf(between.stdout).map(({ path, change }) => [path, change]),
      [
        ["/etc/app/new", "created"],
        ["/etc/app/two", "deleted"],
      ],
    );
    const all = await small.run("accept", "--all", "--reason", "ticket 8", "--format", "json");
    t.like(JSON.parse(all.stdout), { counter: 3, accepted: ["/etc/app/new", "/etc/app/two"] });
    t.is((await small.run("check")).code, 0);
    const verified = await small.run("verify", "--format", "json");
    t.is(verified.code, 0);
    t.like(JSON.parse(verified.stdout), { ok: true, baseline: { ok: true, counter: 3 } });
  },
);

test.serial("each format is what it says, and stdout holds nothing else", async (t) => {
  using small = await makeCaptured(t);
  const quiet = new Map([
    ["table", ""],
    ["json", "[]\n"],
    ["ndjson", ""],
  ]);
  for (const [format, stdout] of quiet) {
    const ended = await small.run("check", "--format", format);
    t.like(ended, { code: 0, stdout }, format);
    t.regex(ended.stderr, /no drift/);
  }
  const odd = "a\nb\t\u001b[31m\u202e\r";
  writeFileSync(small.at(`/etc/app/${odd}`), "x");
  writeFileSync(
    Buffer.concat([Buffer.from(small.at("/etc/app/")), Buffer.from("n\xff", "latin1")]),
    "y",
  );
  const json = await small.run("check", "--format", "json");
  t.is(json.code, 1);
  const list = JSON.parse(json.stdout) as readonly Line[];
  t.deepEqual(
    list.map(({ path }) => path),
    [`/etc/app/${odd}`, "/etc/app/n\ufffd"],
  );
  const ndjson = await small.run("check", "--format", "ndjson");
  t.deepEqual(
    linesOf(ndjson.stdout).map(({ path }) => path),
    list.map(({ path }) => path),
  );
  const table = await small.run("check");
  const lines = table.stdout.trimEnd().split("\n");
  t.is(lines.length, 2, "one line for each change");
  t.true(lines[0]?.includes(String.raw`/etc/app/a\nb\t\x1b[31m\u202e\x0d`), table.stdout);
  t.true(lines[1]?.includes(String.raw`/etc/app/n\xff`), table.stdout);
  // oxlint-disable-next-line no-control-regex -- that there are none is what is shown
  t.notRegex(table.stdout.replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f\u202e]/);
});

test.serial("no output carries the prefix of the root", async (t) => {
  using small = await makeCaptured(t);
  appendFileSync(small.at("/etc/app/one"), "more\n");
  rmSync(small.at("/etc/app/sub"), { recursive: true });
  const outputs: string[] = [];
  for (const format of ["table", "json", "ndjson"]) {
    const { stdout, stderr } = await small.run("check", "--format", format);
    outputs.push(stdout, stderr);
  }
  const accepted = await small.run("accept", "--all", "--reason", "x");
  outputs.push(accepted.stdout, accepted.stderr);
  t.deepEqual(
    outputs.filter((one) => one.includes(small.at(""))),
    [],
  );
  t.true(outputs.join("").includes("/etc/app/sub/three"));
});

test.serial("check of some paths looks at these and what is below them alone", async (t) => {
  using small = await makeCaptured(t);
  appendFileSync(small.at("/etc/app/one"), "more\n");
  appendFileSync(small.at("/etc/app/sub/three"), "more\n");
  const wanted: readonly (readonly [
    args: readonly string[],
    code: number,
    found: readonly string[],
  ])[] = [
    [["/etc/app/one"], 1, ["/etc/app/one"]],
    [["/etc/app/two"], 0, []],
    [["/etc/app/sub"], 1, ["/etc/app/sub/three"]],
    [["/etc/app/sub/"], 1, ["/etc/app/sub/three"]],
    [["/etc/app/two", "/etc/app/sub"], 1, ["/etc/app/sub/three"]],
    [["/etc/app/sub", "/etc/app/sub/three"], 1, ["/etc/app/sub/three"]],
    [["/etc/ap"], 2, []],
    [["/"], 1, ["/etc/app/one", "/etc/app/sub/three"]],
  ];
  for (const [paths, code, found] of wanted) {
    const ended = await small.run("check", ...paths, "--format", "ndjson");
    t.is(ended.code, code, paths.join(" "));
    t.deepEqual(
      linesOf(ended.stdout).map(({ path }) => path),
      found,
      paths.join(" "),
    );
  }
});

test.serial(
  "settings come from the environment and a file too, the command line before both",
  async (t) => {
    using small = await makeCaptured(t);
    appendFileSync(small.at("/etc/app/one"), "more\n");
    const config = small.beside("config.yaml");
    writeFileSync(config, `root: root\nstate: state\npolicy: ./policy.yaml\nformat: json\n`);
    const fromEnv = await runAgent(["check"], {
      env: {
        FIM_ROOT: small.root,
        FIM_STATE: small.state,
        FIM_POLICY: small.policy,
        FIM_FORMAT: "ndjson",
      },
    });
    t.is(fromEnv.code, 1, fromEnv.stderr);
    t.is(linesOf(fromEnv.stdout)[0]?.path, "/etc/app/one");
    const fromFile = await runAgent(["check", "--config", config]);
    t.is(fromFile.code, 1, fromFile.stderr);
    t.true(Array.isArray(JSON.parse(fromFile.stdout)));
    const env = { FIM_CONFIG: config, FIM_FORMAT: "ndjson" };
    const envFirst = await runAgent(["check"], { env });
    t.false(envFirst.stdout.startsWith("["), "the environment comes before the file");
    const lineFirst = await runAgent(["check", "--format", "json"], { env });
    t.true(lineFirst.stdout.startsWith("["), "the command line comes before the environment");
  },
);

const reader = 65534;

/** Runs as a user that may not read everything, on a copy of the state that is its own. */
function runAsReader(small: TestNode, command: readonly string[]): Ended {
  const state = small.beside("readers-state");
  rmSync(state, { recursive: true, force: true });
  cpSync(small.state, state, { recursive: true });
  for (const name of ["", ...readdirSync(state)]) chownSync(join(state, name), reader, reader);
  const launcher = join(import.meta.dirname, "../../bin/fim-agent");
  const args = [...command, ...small.args, "--state", state];
  const { status, stdout, stderr } = spawnSync(launcher, args.filter(isNotTwice(args)), {
    uid: reader,
    gid: reader,
    encoding: "utf8",
    cwd: "/",
  });
  return { code: status, stdout, stderr };
}

/** Drops the first --state and its value. */
function isNotTwice(args: readonly string[]): (arg: string, at: number) => boolean {
  const first = args.indexOf("--state");
  return (_, at) => at !== first && at !== first + 1;
}

const needsRoot = process.getuid?.() === 0 ? test.serial : test.skip;

needsRoot(
  "what cannot be read makes a check incomplete: each is listed, nothing is invented",
  async (t) => {
    using small = await makeCaptured(t);
    chmodSync(small.dir, 0o755);
    const modes: readonly (readonly [path: string, mode: number])[] = [
      ["/etc/app/key", 0o600],
      ["/etc/app/sub", 0o700],
    ];
    for (const [path, mode] of modes) chmodSync(small.at(path), mode);
    t.is((await small.run("accept", "--all", "--reason", "closed")).code, 0);
    const check = ["check", "--format", "ndjson"];
    const incomplete = runAsReader(small, check);
    t.is(incomplete.code, 4, incomplete.stderr);
    t.regex(incomplete.stderr, /\/etc\/app\/key: EACCES/);
    t.regex(incomplete.stderr, /\/etc\/app\/sub: EACCES/);
    const reported = linesOf(incomplete.stdout).map(({ path, change }) => `${change} ${path}`);
    t.true(reported.includes("unreadable /etc/app/key"), incomplete.stdout);
    t.deepEqual(
      reported.filter((one) => !one.startsWith("unreadable ")),
      [],
    );
    // Drift that was seen all the same is said first.
    appendFileSync(small.at("/etc/app/one"), "more\n");
    const drifted = runAsReader(small, check);
    t.is(drifted.code, 1, drifted.stderr);
    t.regex(drifted.stderr, /\/etc\/app\/key: EACCES/);
    t.deepEqual(
      linesOf(drifted.stdout)
        .filter(({ change }) => change !== "unreadable")
        .map(({ path }) => path),
      ["/etc/app/one"],
    );
    refused(t, runAsReader(small, ["accept", "--all", "--reason", "x"]), {
      code: 4,
      says: /\/etc\/app\/key: EACCES/,
    });
  },
);

needsRoot(
  "a path that cannot be looked at and was never known is neither created nor approved",
  async (t) => {
    using small = makeSmall();
    chmodSync(small.dir, 0o755);
    mkdirSync(small.at("/closed"), { mode: 0o700 });
    writeFileSync(
      small.policy,
      policy.replace("[/etc/app/key]", "[/etc/app/key, /closed/file, /closed/more/file]"),
    );
    t.is((await small.run("baseline")).code, 0);
    const { code, stdout, stderr } = runAsReader(small, ["check", "--format", "ndjson"]);
    t.is(code, 4, stderr);
    t.is(stdout, "");
    t.regex(stderr, /\/closed\/file: EACCES/);
    const replace = ["baseline", "--replace", "--reason", "by another user"];
    t.is(runAsReader(small, replace).code, 4);
    const db = new Database(small.beside("readers-state/fim.db"), { readonly: true });
    const paths = db.prepare("SELECT CAST(path AS TEXT) FROM baseline").pluck().all() as string[];
    db.close();
    t.true(paths.includes("/etc/app/one"));
    t.deepEqual(
      paths.filter((path) => path.startsWith("/closed")),
      [],
    );
  },
);

test.serial("the key is not readable for others, and no output ever shows it", async (t) => {
  using small = await makeCaptured(t);
  const key = readFileSync(small.beside("state/agent.key"), "utf8");
  const secret = key.split("\n")[1] ?? "";
  t.true(secret.length > 20);
  for (const command of [["key", "show"], ["verify"], ["doctor"], ["policy", "show"]]) {
    const { stdout, stderr } = await small.run(...command);
    t.false((stdout + stderr).includes(secret), command.join(" "));
  }
});

test("doctor says so when the node fits another policy than that of its baseline", async (t) => {
  using small = makeSmall();
  const auto = ["--root", small.root, "--state", small.state];
  small.write("/etc/kubernetes/manifests/kube-apiserver.yaml", "kind: Pod\n");
  const captured = await runAgent(["baseline", ...auto]);
  t.is(captured.code, 0, captured.stderr);
  const policyLine = async (): Promise<string> =>
    (await runAgent(["doctor", ...auto])).stdout
      .split("\n")
      .find((line) => / policy /.test(line)) ?? "";
  t.regex(await policyLine(), /^ok +policy +kubeadm/);
  small.write("/var/lib/rancher/k3s/server/token", "t\n");
  small.write("/etc/rancher/k3s/config.yaml", "\n");
  t.regex(
    await policyLine(),
    /^!! +policy +kubeadm.*the node fits k3s.* now: fim-agent baseline --replace/,
  );
});

test("a path that is mistyped is refused, not called clean", async (t) => {
  using small = makeSmall();
  t.is((await small.run("baseline")).code, 0);
  for (const path of ["/nosuch", "/etc/app/nosuch"])
    for (const command of [["check"], ["accept", "--reason", "test"]]) {
      const { code, stderr } = await small.run(...command, path);
      t.is(code, 2, stderr);
      t.regex(stderr, /path \/.*nosuch: /);
    }
});
