import test from "ava";
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { text } from "node:stream/consumers";
import { makePlace } from "./helpers/tree.ts";
import { within } from "./helpers/wait.ts";

const bin = join(import.meta.dirname, "..", "bin");

/** Says how it was started, as JSON. */
const program = (name: string): string => `
  process.stdout.write(JSON.stringify({
    name: "${name}", argv: process.argv.slice(2), flags: process.execArgv, node: process.execPath,
    pid: process.pid, cwd: process.cwd(), arenas: process.env.MALLOC_ARENA_MAX,
  }));
  if (process.argv[2] === "exit") process.exitCode = Number(process.argv[3]);
  if (process.argv[2] === "wait") setInterval(() => {}, 1000);
`;

interface Started {
  readonly name: string;
  readonly argv: readonly string[];
  readonly flags: readonly string[];
  readonly node: string;
  readonly pid: number;
  readonly cwd: string;
  readonly arenas: string;
}

interface Package {
  readonly dir: string;
  readonly home: string;
  write(file: string, content: string): void;
  ownNode(): void;
  [Symbol.dispose](): void;
}

/** A package with this repository's launchers and nothing else; its path has a space in it. */
function makePackage(place = "checkout"): Package {
  const dir = mkdtempSync(join(tmpdir(), "fim bin "));
  const home = join(dir, place);
  cpSync(bin, join(home, "bin"), { recursive: true });
  const write = (file: string, content: string): void => {
    mkdirSync(dirname(join(home, file)), { recursive: true });
    writeFileSync(join(home, file), content);
  };
  write("package.json", JSON.stringify({ type: "module" }));
  const ownNode = (): void => {
    mkdirSync(join(home, "node_modules/node/bin"), { recursive: true });
    symlinkSync(process.execPath, join(home, "node_modules/node/bin/node"));
  };
  const dispose = (): void => rmSync(dir, { recursive: true, force: true });
  return { dir, home, write, ownNode, [Symbol.dispose]: dispose };
}

/** A directory with a `node` that claims this version and does nothing else. */
function fakeNode(dir: string, version: string): string {
  const at = join(dir, `node-${version}`);
  mkdirSync(at);
  writeFileSync(join(at, "node"), `#!/bin/sh\n[ "$1" = --version ] && echo ${version}\n`);
  chmodSync(join(at, "node"), 0o755);
  return at;
}

interface Options {
  readonly cwd?: string;
  readonly env?: Record<string, string>;
}

async function run(command: string, args: readonly string[], { cwd, env }: Options = {}) {
  const path = `${dirname(process.execPath)}:/usr/bin:/bin`;
  const child = spawn(command, args, { cwd, env: { PATH: path, ...env } });
  const code = new Promise<number | null>((resolve) => {
    child.once("close", resolve);
  });
  const all = Promise.all([code, text(child.stdout), text(child.stderr)]);
  const [exit, stdout, stderr] = await within(all, 20_000, command);
  return { code: exit, stdout, stderr };
}

const started = (stdout: string): Started => JSON.parse(stdout) as Started;

test("a launcher runs its program from any directory, through links and from an installed package", async (t) => {
  using pack = makePackage("node_modules/fim-agent");
  pack.write("dist/cli/main.js", program("agent"));
  pack.write("dist/cli/collector.js", program("collector"));
  mkdirSync(join(pack.dir, "node_modules/.bin"));
  const installed = join(pack.dir, "node_modules/.bin/fim-agent");
  symlinkSync("../fim-agent/bin/fim-agent", installed);
  symlinkSync(installed, join(pack.dir, "another name"));
  const calls = [
    { command: join(pack.home, "bin/fim-agent"), cwd: "/" },
    { command: relative(pack.dir, installed), cwd: pack.dir },
    { command: "./fim-agent", cwd: join(pack.home, "bin") },
    { command: join(pack.dir, "another name"), cwd: tmpdir() },
  ];
  for (const { command, cwd } of calls) {
    const { code, stdout, stderr } = await run(command, [], { cwd });
    t.is(code, 0, stderr);
    t.is(started(stdout).name, "agent");
    t.is(started(stdout).cwd, cwd);
  }
  const found = await run("fim-agent", [], {
    env: { PATH: `${dirname(installed)}:${dirname(process.execPath)}:/usr/bin:/bin` },
  });
  t.is(found.code, 0, found.stderr);
  const collector = await run(join(pack.home, "bin/fim-collector"), []);
  t.is(started(collector.stdout).name, "collector");
});

test("arguments reach the program untouched, and its exit code comes back", async (t) => {
  using pack = makePackage();
  pack.write("dist/cli/main.js", program("agent"));
  const args = ["exit", "3", "", "a b", "$HOME", "*", "line\nbreak", "--", "--version", "'\"\\"];
  const { code, stdout } = await run(join(pack.home, "bin/fim-agent"), args);
  t.is(code, 3);
  t.deepEqual(started(stdout).argv, args);
});

test("the launcher becomes Node with the flags that keep it small, so a signal reaches the program", async (t) => {
  using pack = makePackage();
  pack.write("dist/cli/main.js", program("agent"));
  const child = spawn(join(pack.home, "bin/fim-agent"), ["wait"]);
  const first = await within(
    new Promise<string>((resolve) => {
      child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    }),
    20_000,
    "the program's first line",
  );
  t.is<number | undefined, number | undefined>(started(first).pid, child.pid);
  t.is(started(first).arenas, "1");
  t.true(started(first).flags.includes("--max-semi-space-size=1"));
  const ended = new Promise((resolve) => {
    child.once("exit", (_code, signal) => resolve(signal));
  });
  child.kill("SIGTERM");
  t.is(await within(ended, 20_000, "the end"), "SIGTERM");
});

test("what was built is run, until a source is newer", async (t) => {
  using pack = makePackage();
  const command = join(pack.home, "bin/fim-agent");
  const past = new Date("2020-01-01");
  pack.write("src/cli/main.ts", `const name: string = "source";${program("source")}void name;`);
  const first = await run(command, []);
  t.is(first.stderr, "");
  t.is(started(first.stdout).name, "source");
  pack.write("dist/cli/main.js", program("built"));
  utimesSync(join(pack.home, "src/cli/main.ts"), past, past);
  t.is(started((await run(command, [])).stdout).name, "built");
  pack.write("src/core/changed.ts", "");
  utimesSync(join(pack.home, "dist/cli/main.js"), past, past);
  t.is(started((await run(command, [])).stdout).name, "source");
});

test("the repository's own Node is used when the system's is too old", async (t) => {
  using pack = makePackage();
  pack.write("dist/cli/main.js", program("agent"));
  const old = { PATH: `${fakeNode(pack.dir, "v20.20.2")}:/usr/bin:/bin` };
  const refused = await run(join(pack.home, "bin/fim-agent"), [], { env: old });
  t.is(refused.code, 2);
  t.regex(
    refused.stderr,
    /^fim-agent: Node 24 or newer is needed, found v20\.20\.2 at .*\nhint: .+\n$/,
  );
  t.is(refused.stdout, "");
  pack.ownNode();
  const { code, stdout, stderr } = await run(join(pack.home, "bin/fim-agent"), [], { env: old });
  t.is(code, 0, stderr);
  t.is(started(stdout).node, process.execPath);
});

test("FIM_NODEJS decides, and is refused when it is old, missing or no Node", async (t) => {
  using pack = makePackage();
  pack.write("dist/cli/main.js", program("agent"));
  pack.ownNode();
  const command = join(pack.home, "bin/fim-agent");
  const runWith = async (node: string) => await run(command, [], { env: { FIM_NODEJS: node } });
  t.is((await runWith(process.execPath)).code, 0);
  const wrong = [
    join(fakeNode(pack.dir, "v9.11.2"), "node"),
    "/nowhere/node",
    "/bin/true",
    pack.dir,
  ];
  for (const node of wrong) {
    const { code, stderr } = await runWith(node);
    t.is(code, 2, node);
    t.regex(stderr, /^fim-agent: Node 24 or newer is needed, .*FIM_NODEJS.*\nhint: .+\n$/);
  }
});

test("without any Node, and without any program, the launcher says what is missing", async (t) => {
  using pack = makePackage();
  const tools = join(pack.dir, "tools");
  mkdirSync(tools);
  for (const tool of ["readlink", "find", "head"])
    symlinkSync(`/usr/bin/${tool}`, join(tools, tool));
  const command = join(pack.home, "bin/fim-collector");
  const none = await run(command, [], { env: { PATH: tools } });
  t.is(none.code, 2);
  t.regex(
    none.stderr,
    /^fim-collector: Node 24 or newer is needed, found none on PATH\nhint: .+\n$/,
  );
  pack.ownNode();
  const empty = await run(command, [], { env: { PATH: tools } });
  t.is(empty.code, 2);
  t.regex(
    empty.stderr,
    /^fim-collector: neither .*dist\/cli\/collector\.js nor .* is there\nhint: .+\n$/,
  );
});

test("in a directory that is gone the program says so, whatever it is asked for", (t) => {
  using place = makePlace();
  const fromNowhere = 'mkdir "$0" && cd "$0" && rmdir "$0" && exec "$@"';
  const launcher = join(bin, "fim-agent");
  for (const command of ["check", "verify", "--help"]) {
    const { status, stderr } = spawnSync(
      "sh",
      ["-c", fromNowhere, place.at("gone"), launcher, command],
      { encoding: "utf8" },
    );
    t.is(status, 2);
    t.regex(stderr, /^fim-agent: the directory that this was started in is gone\nhint: /m);
  }
});
