import test from "ava";
import Database from "better-sqlite3";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Watching } from "../helpers/agent.ts";
import { freePort, get } from "../helpers/http.ts";
import { makeNode } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";

/** A node of a few files that has a baseline. */
interface Small extends TestNode {
  watchOften(): Promise<Watching>;
  sql(...statements: readonly string[]): void;
}

async function makeSmall(): Promise<Small> {
  const node = makeNode({ rules: { "/etc/app/**": "high" } });
  for (let each = 0; each < 200; each += 1) node.write(`/etc/app/${each}`, "1\n");
  await node.capture();
  return {
    ...node,
    run: async (...more) => await node.run(...more, "--listen", `127.0.0.1:${await freePort()}`),
    watchOften: async () => await node.watch({ config: { watch: { quickSweepEvery: "1s" } } }),
    sql: (...statements) => {
      const db = new Database(join(node.state, "fim.db"), { timeout: 10_000 });
      for (const statement of statements) db.exec(statement);
      db.close();
    },
  };
}

const everyone = ["verify", "check", "watch"] as const;

/** Random enough, and no page of SQLite's. */
function scribble(file: string): void {
  const bytes = readFileSync(file);
  bytes.fill(0xa5, 4096 * 3, bytes.length - 4096);
  writeFileSync(file, bytes);
}

const alterations: readonly (readonly [
  what: string,
  alter: (small: Small) => void,
  commands: readonly string[],
  says: RegExp,
])[] = [
  [
    "the schema's version was set back",
    (small) => small.sql("PRAGMA user_version = 0"),
    everyone,
    /altered or damaged/,
  ],
  ["a table was dropped", (small) => small.sql("DROP TABLE fold"), everyone, /altered or damaged/],
  [
    "a table was renamed",
    (small) => small.sql("ALTER TABLE current RENAME TO other"),
    everyone,
    /altered or damaged/,
  ],
  [
    "a column was dropped",
    (small) => small.sql("ALTER TABLE current DROP COLUMN row"),
    everyone,
    /altered or damaged/,
  ],
  [
    "what was last seen is no JSON",
    (small) => small.sql("UPDATE current SET row = X'ff'"),
    ["watch"],
    /altered or damaged/,
  ],
  [
    "what was last seen is empty",
    (small) => small.sql("UPDATE current SET row = CAST('{}' AS BLOB)"),
    ["watch"],
    /altered or damaged/,
  ],
  [
    "what was last seen is null",
    (small) => small.sql("UPDATE current SET row = CAST('null' AS BLOB)"),
    ["watch"],
    /altered or damaged/,
  ],
  [
    "the middle of the database was written over",
    ({ state }) => scribble(join(state, "fim.db")),
    everyone,
    /altered|damaged/,
  ],
  [
    "the anchor is a FIFO",
    ({ state }) => {
      rmSync(join(state, "anchor.json"));
      spawnSync("mkfifo", [join(state, "anchor.json")]);
    },
    everyone,
    /anchor .*: not a file/,
  ],
  [
    "the anchor is a symbolic link",
    ({ state }) => {
      renameSync(join(state, "anchor.json"), join(state, "aside"));
      symlinkSync(join(state, "aside"), join(state, "anchor.json"));
    },
    everyone,
    /anchor .*: a symbolic link/,
  ],
];

for (const [what, alter, commands, says] of alterations)
  test.serial(
    `${commands.join(", ")}: when ${what}, the state is refused as altered, and no bug is reported`,
    async (t) => {
      using small = await makeSmall();
      alter(small);
      for (const command of commands) {
        const { code, stdout, stderr } = await small.run(command);
        t.is(code, 3, `${command}: ${stderr}`);
        t.regex(stdout + stderr, says, command);
        t.notRegex(stderr, /bug|^\s+at /m, command);
      }
    },
  );

test.serial(
  "a directory in the place of the capture's scratch file is reported, and no bug",
  async (t) => {
    using small = await makeSmall();
    mkdirSync(join(small.state, "capture.tmp"));
    const { code, stderr } = await small.run("baseline", "--replace", "--reason", "a test");
    t.is(code, 3, stderr);
    t.regex(stderr, /capture\.tmp: a directory/);
    t.notRegex(stderr, /bug/);
  },
);

test.serial("when the record of the present baseline was cut off, verify says so", async (t) => {
  using small = await makeSmall();
  for (const name of ["1", "2"]) {
    appendFileSync(small.at(`etc/app/${name}`), "2\n");
    t.is((await small.run("accept", "--all", "--reason", name)).code, 0);
  }
  t.is((await small.run("verify")).code, 0);
  small.sql("DELETE FROM batch WHERE last = 4", "DELETE FROM record WHERE seq = 4");
  const { code, stdout } = await small.run("verify");
  t.is(code, 3);
  t.regex(stdout, /signed is 3, the chain ends with 2/);
});

test.serial("a chain whose head is gone is a failed verification, and no drift", async (t) => {
  using small = await makeSmall();
  small.sql("DELETE FROM meta WHERE key = 'chain'");
  for (const [command, expected] of [
    ["check", 3],
    ["watch", 3],
    ["verify", 1],
  ] as const) {
    const { code, stderr } = await small.run(command);
    t.is(code, expected, `${command}: ${stderr}`);
    t.regex(stderr, /chain: its head is older than its last record\nhint: /, command);
  }
});

async function health({ listen }: Watching): Promise<{ status: number; body: string }> {
  return await get(`http://${listen}/healthz`);
}

const underWatch: readonly (readonly [
  what: string,
  alter: (small: Small) => void,
  reason: RegExp,
])[] = [
  ["a table is dropped", (small) => small.sql("DROP TABLE fold"), /altered or damaged/],
  [
    "a count of changes is no JSON",
    (small) => small.sql("INSERT INTO fold VALUES ('r', 'modified', 'low', 3, 1.0, 1.0, 'x', 'y')"),
    /altered or damaged/,
  ],
  [
    "the database is cut to nothing",
    ({ state }) => truncateSync(join(state, "fim.db"), 0),
    /was cut to 0 bytes/,
  ],
];

for (const [what, alter, reason] of underWatch)
  test.serial(
    `when ${what} under a running watch, /healthz says so and the watch goes on`,
    async (t) => {
      using small = await makeSmall();
      await using watching = await small.watchOften();
      t.is((await health(watching)).status, 200);
      alter(small);
      const { body } = await until(async () => {
        const reply = await health(watching);
        return reply.status === 503 && reply;
      }, 30_000);
      t.regex(body, reason);
      t.notRegex(watching.lines.join("\n"), /bug|^\s+at /m);
    },
  );

for (const rules of ["{{", '{"a":1}', "[1]", '[{"id":"x"}]'])
  test.serial(`a watch starts, though what was last watched was altered to ${rules}`, async (t) => {
    using small = await makeSmall();
    small.sql(`UPDATE meta SET value = '${rules}' WHERE key = 'watched'`);
    await using watching = await small.watchOften();
    t.is(await watching.stop(), 0);
    t.notRegex(watching.lines.join("\n"), /bug|^\s+at /m);
  });

const full = existsSync("/dev/full") ? test.serial : test.serial.skip;

/** Runs it with its output on a disk that is full. */
function startFull(args: readonly string[]) {
  const fd = openSync("/dev/full", "w");
  const launcher = join(import.meta.dirname, "../../bin/fim-agent");
  const child = spawn(launcher, args, { stdio: ["ignore", fd, "pipe"] });
  closeSync(fd);
  return { child, said: text(child.stderr as NodeJS.ReadableStream), ended: once(child, "close") };
}

full("a result that finds no room on the disk is an error, not a bug", async (t) => {
  using small = await makeSmall();
  appendFileSync(small.at("etc/app/1"), "2\n");
  const { said, ended } = startFull(["check", ...small.args]);
  t.deepEqual(await ended, [4, null]);
  t.regex(await said, /^fim-agent: output: cannot be written \(ENOSPC\)\nhint: .*\n$/m);
  t.notRegex(await said, /bug|^\s+at /m);
});

full("a watch whose alerts find no room on the disk says so once and goes on", async (t) => {
  using small = await makeSmall();
  const listen = `127.0.0.1:${await freePort()}`;
  const args = ["watch", ...small.args, "--listen", listen, "--engine", "chokidar"];
  const { child, said, ended } = startFull(args);
  const samples = async (path: string): Promise<string> =>
    await get(`http://${listen}${path}`).then(
      ({ status, body }) => (status === 200 ? body : ""),
      () => "",
    );
  try {
    await until(async () => (await samples("/readyz")) !== "", 30_000);
    for (const name of ["1", "2"]) {
      appendFileSync(small.at(`etc/app/${name}`), "2\n");
      const reported = new RegExp(`^fim_changes_total\\{.*\\} ${name}$`, "m");
      await until(async () => reported.test(await samples("/metrics")), 30_000);
    }
    child.kill("SIGTERM");
    t.deepEqual(await ended, [0, null]);
    t.is((await said).split("alerts cannot be printed").length, 2);
  } finally {
    child.kill("SIGKILL");
  }
});

test.serial(
  "Ctrl-C in the middle of an attack ends the demonstration in order and leaves nothing",
  async (t) => {
    using place = makePlace();
    const begun = place.at("begun");
    mkdirSync(place.at("bin"));
    mkdirSync(place.at("tmp"));
    // The first attack runs this, and is still at it when Ctrl-C comes.
    writeFileSync(place.at("bin/sed"), `#!/bin/sh\n: > ${begun}\nexec sleep 60\n`);
    chmodSync(place.at("bin/sed"), 0o755);
    const demo = join(import.meta.dirname, "../../demo/demo.ts");
    const child = spawn(process.execPath, [demo], {
      detached: true,
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        ...process.env,
        PATH: `${place.at("bin")}:${process.env["PATH"]}`,
        TMPDIR: place.at("tmp"),
      },
    });
    const [said, ended] = [text(child.stderr), once(child, "close")];
    try {
      await until(() => existsSync(begun), 60_000);
      process.kill(-(child.pid ?? 0), "SIGINT");
      t.deepEqual(await ended, [0, null], await said);
      t.notRegex(await said, /bug|^\s+at /m);
      t.deepEqual(
        readdirSync(place.at("tmp")).filter((name) => name.startsWith("fim-demo-")),
        [],
      );
    } finally {
      child.kill("SIGKILL");
    }
  },
);
