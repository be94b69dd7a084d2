import { execFileSync, spawn, spawnSync } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { copyFileSync, realpathSync, writeFileSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import test from "ava";
import * as fc from "fast-check";
import { ActorReader } from "../../src/attribute/actor.ts";
import { Attribution } from "../../src/attribute/attribute.ts";
import { parseArguments, parseRecord } from "../../src/attribute/exec-history.ts";
import { layout, valueSize } from "../../src/attribute/exec-programs.ts";
import { makePlace } from "../helpers/tree.ts";

/** Without BPF (an old kernel, not root, a container) only what /proc reports is tested. */
const best = openMode();
const withHistory = best === "bpf" ? test.serial : test.serial.skip;

function openMode(): string {
  using attribution = Attribution.open({ root: "/" });
  return attribution.mode;
}

const now = () => Date.now();

/** The number that a shell prints when it is given this line, or NaN. */
async function reported(shell: ChildProcessByStdio<Writable, Readable, null>, line: string) {
  const chunk = new Promise<Buffer>((resolve) => shell.stdout.once("data", resolve));
  shell.stdin.write(`${line}\n`);
  return Number((await chunk).toString());
}

test("a living process is named with its command line and its parents", (t) => {
  using attribution = Attribution.open({ root: "/", best: "proc" });
  const own = attribution.describe(process.pid, now());
  t.is(own?.pid, process.pid);
  t.is(own?.uid, process.geteuid?.());
  t.true((own?.cmdline?.length ?? 0) > 0);
  t.true((own?.ancestry?.length ?? 0) > 0);
  t.is(attribution.mode, "proc");
  t.true(attribution.blind.length > 0);
});

test("a secret on a command line is not reported", async (t) => {
  using attribution = Attribution.open({ root: "/", best: "proc" });
  const child = spawn("sh", ["-c", "echo up; read -r _", "x", "--token=abc123"]);
  await new Promise((resolve) => child.stdout.once("data", resolve));
  const actor = attribution.describe(child.pid ?? -1, now());
  child.stdin.end("\n");
  await new Promise((resolve) => child.once("exit", resolve));
  t.is(actor?.cmdline?.at(-1), "--token=***");
});

test("without the exec history a process that executes another program of the same name is that from then on", async (t) => {
  using place = makePlace();
  const other = place.at("bash");
  copyFileSync(realpathSync("/bin/bash"), other);
  using attribution = Attribution.open({ root: "/", best: "proc" });
  const shell = spawn("bash", { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const pid = await reported(shell, "echo $$");
    t.is(attribution.describe(pid, now())?.exe, realpathSync("/bin/bash"));
    await reported(shell, `exec ${other} -c 'echo 1; read -r _'`);
    t.is(attribution.describe(pid, now())?.exe, other);
  } finally {
    shell.stdin.end("\n");
    await new Promise((resolve) => shell.once("close", resolve));
  }
});

withHistory("a parent is reported as what it was when it made the child", async (t) => {
  using attribution = Attribution.open({ root: "/" });
  const shell = spawn("bash", { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const child = await reported(shell, "(:; read -r _ < /dev/null; exit 0) & wait; echo $!");
    await reported(shell, "exec sh -c 'echo 1; read -r _; :'");
    t.is(attribution.describe(child, now())?.ancestry?.[0], "bash");
  } finally {
    shell.stdin.end("\n");
    await new Promise((resolve) => shell.once("close", resolve));
  }
});

test("without the exec history a process that is gone is not named", (t) => {
  using attribution = Attribution.open({ root: "/", best: "proc" });
  t.is(attribution.describe(spawnSync("true").pid, now()), undefined);
});

test("a process outside of our PID namespace is not named", (t) => {
  using reader = new ActorReader({ root: "/", proc: "/proc" });
  t.is(reader.describe(0, now()), undefined);
});

test("where /proc is not there nothing is named, and that is said", (t) => {
  using attribution = Attribution.open({ root: "/", proc: "/nowhere" });
  t.is(attribution.mode, "none");
  t.is(attribution.describe(process.pid, now()), undefined);
  t.regex(attribution.blind[0] ?? "", /nowhere is not readable/);
});

test("without the right to BPF the reason is said", (t) => {
  const file = new URL("../../src/attribute/attribute.ts", import.meta.url).href;
  const code = `import { Attribution } from ${JSON.stringify(file)};
    process.setuid?.(65534);
    const { mode, blind } = Attribution.open({ root: "/" });
    process.stdout.write(JSON.stringify({ mode, blind }));`;
  const text = execFileSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
  });
  const { mode, blind } = JSON.parse(text) as { mode: string; blind: string[] };
  t.is(mode, "proc");
  t.regex(blind[0] ?? "", /exec history/);
});

withHistory("a process that is gone is named with its parents, dead ones too", (t) => {
  using attribution = Attribution.open({ root: "/" });
  const { stdout } = spawnSync("bash", ["-c", "(chmod 600 /nowhere & echo $!; wait); exit 0"]);
  const actor = attribution.describe(Number(stdout.toString()), now());
  t.is(actor?.comm, "chmod");
  t.regex(actor?.exe ?? "", /\/chmod$/);
  t.is(actor?.uid, 0);
  t.deepEqual(actor?.ancestry?.slice(0, 2), ["bash", "bash"]);
});

withHistory("a process that is gone is named with its command line, secrets hidden", (t) => {
  using attribution = Attribution.open({ root: "/" });
  const { pid } = spawnSync("true", ["--password=abc", "", "x y", "last"]);
  const actor = attribution.describe(pid, now());
  t.deepEqual(actor?.cmdline, ["true", "--password=***", "", "x y", "last"]);
});

withHistory("a long command line of a process that is gone is cut, not lost", (t) => {
  using attribution = Attribution.open({ root: "/" });
  const many = Array.from({ length: 40 }, (_, index) => `argument-${index}`);
  const { pid } = spawnSync("true", ["x".repeat(5000), ...many]);
  const cmdline = attribution.describe(pid, now())?.cmdline ?? [];
  t.is(cmdline[0], "true");
  t.regex(cmdline[1] ?? "", /^x{1003}$/);
  t.is(cmdline.length, 2);
  const short = spawnSync("true", ["x".repeat(400), ...many]).pid;
  const more = attribution.describe(short, now())?.cmdline ?? [];
  t.deepEqual(more.slice(1), ["x".repeat(400), ...many]);
});

withHistory("a script that is gone is named with its interpreter's arguments", (t) => {
  using attribution = Attribution.open({ root: "/" });
  using place = makePlace();
  writeFileSync(place.at("script"), "#!/bin/sh -e\n:\n", { mode: 0o755 });
  const { pid } = spawnSync(place.at("script"), ["one", "two"]);
  const { cmdline } = attribution.describe(pid, now()) ?? {};
  t.deepEqual(cmdline, ["/bin/sh", "-e", place.at("script"), "one", "two"]);
});

withHistory("an execve that failed does not lend its arguments", (t) => {
  using attribution = Attribution.open({ root: "/" });
  const script = "import os\ntry: os.execv('/nowhere', ['wrong'])\nexcept OSError: pass";
  const { pid } = spawnSync("python3", ["-c", script]);
  const actor = attribution.describe(pid, now());
  t.regex(actor?.comm ?? "", /python/);
  t.deepEqual(actor?.cmdline?.slice(1), ["-c", script]);
});

withHistory("a child that never executed anything has its parent's program", (t) => {
  using attribution = Attribution.open({ root: "/" });
  const { stdout } = spawnSync("bash", ["-c", "(:; exit 0) & echo $!; wait"]);
  const actor = attribution.describe(Number(stdout.toString()), now());
  t.regex(actor?.exe ?? "", /\/bash$/);
  t.is(actor?.ancestry?.[0], "bash");
});

withHistory(
  "a child that never executed anything has its parent's program, though that is older than the history",
  async (t) => {
    const bash = spawn("bash", { stdio: ["pipe", "pipe", "inherit"] });
    try {
      await reported(bash, "echo up");
      using attribution = Attribution.open({ root: "/" });
      const child = await reported(bash, "(:; exit 0) & wait; echo $!");
      const actor = attribution.describe(child, now());
      t.is(actor?.exe, realpathSync("/bin/bash"));
      t.truthy(actor?.executable);
      t.is(actor?.ancestry?.[0], "bash");
      // What is executed later is what counts.
      const other = await reported(bash, "sleep 0 & wait; echo $!");
      t.is(attribution.describe(other, now())?.comm, "sleep");
    } finally {
      bash.stdin.end();
      await new Promise((resolve) => bash.once("close", resolve));
    }
  },
);

withHistory("a process that executes another program is that from then on", async (t) => {
  using attribution = Attribution.open({ root: "/" });
  const child = spawn("bash", ["-c", "echo up; read -r _; exec sleep 60"]);
  const pid = child.pid ?? -1;
  await new Promise((resolve) => child.stdout.once("data", resolve));
  t.is(attribution.describe(pid, now())?.comm, "bash");
  child.stdin.end("\n");
  const deadline = Date.now() + 10_000;
  while (attribution.describe(pid, now())?.comm !== "sleep" && Date.now() < deadline)
    await new Promise((resolve) => setImmediate(resolve));
  t.is(attribution.describe(pid, now())?.comm, "sleep");
  child.kill();
  await new Promise((resolve) => child.once("exit", resolve));
});

test("a record without a name is of a process that is older than the history", (t) => {
  const bytes = Buffer.alloc(valueSize);
  bytes.write("comm", 24);
  t.deepEqual(parseRecord(bytes), {
    notedAt: 0n,
    comm: "comm",
    uid: 0,
    cgroupId: 0n,
    parent: 0,
    parentComm: "",
    forkedAt: 0n,
  });
});

test("a record reports the device as the kernel keeps it, and both numbers or none", (t) => {
  const bytes = Buffer.alloc(valueSize);
  const put = (ino: bigint, dev: number): void => {
    bytes.writeBigUInt64LE(ino, layout.ino.offset);
    bytes.writeUInt32LE(dev, layout.dev.offset);
  };
  const cases: readonly (readonly [bigint, number, string | undefined])[] = [
    [7n, (259 << 20) | 2, "259:2"],
    [7n, 0xffff_ffff, "4095:1048575"],
    [7n, 45, "0:45"],
    [7n, 0, undefined],
    [0n, 45, undefined],
  ];
  for (const [ino, dev, text] of cases) {
    put(ino, dev);
    t.is(parseRecord(bytes).executable?.dev, text);
  }
  put(2n ** 64n - 1n, 45);
  t.is(parseRecord(bytes).executable?.ino, "18446744073709551615");
});

test("whatever a record of arguments holds, reading it does not throw", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (bytes) => {
      parseArguments(Buffer.from(bytes));
      parseRecord(Buffer.from(bytes));
    }),
  );
  t.deepEqual(parseArguments(Buffer.alloc(512)), []);
});
