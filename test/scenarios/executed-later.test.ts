import test from "ava";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { until } from "../helpers/wait.ts";
import type { Alert } from "../helpers/node.ts";
import { busyLoops, fanotifyMissing, outputOf, programOf } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";

/*
 * A process changes a file and executes another program before the agent can read the event.
 */

const missing = fanotifyMissing ?? missingProgram("python3", "bash", "tee", "grep");
const bash = programOf("bash") ?? "";
const python = programOf("python3") ?? "";
const tee = programOf("tee") ?? "";
const runs = 60;

const numbers = Array.from({ length: runs }, (_, at) => at);

interface Deed {
  readonly title: string;
  /** Does it to file $1 as the writer, then executes the other program. */
  readonly command: readonly string[];
  readonly writer: string;
  readonly path: (at: number) => string;
}

const viaPython = (does: string): readonly string[] => [
  python,
  "-c",
  `import os, sys
f = sys.argv[1]
${does}
os.execv("/usr/bin/grep", ["grep", "-q", "x", "/etc/hostname"])`,
];

const file = (at: number): string => `/w/${at}`;

const deeds: readonly Deed[] = [
  {
    title: "an appended line",
    command: [bash, "-c", 'echo x >> "$1"; exec grep -q x /etc/hostname', "bash"],
    writer: bash,
    path: file,
  },
  {
    title: "a mode",
    command: viaPython("os.chmod(f, 0o600)"),
    writer: python,
    path: file,
  },
  {
    title: "a rename",
    command: viaPython('os.rename(f, f + ".moved")'),
    writer: python,
    path: (at) => `${file(at)}.moved`,
  },
  { title: "a deletion", command: viaPython("os.unlink(f)"), writer: python, path: file },
  {
    title: "a line appended before two executions",
    command: [bash, "-c", 'echo x >> "$1"; exec env -u X grep -q x /etc/hostname', "bash"],
    writer: bash,
    path: file,
  },
  {
    title: "a file that has the inode of one which an earlier program removed",
    command: [
      python,
      "-c",
      `import os, sys
f = sys.argv[1]
open(f + ".other", "w").write("x")
os.unlink(f + ".other")
os.execv("${bash}", ["bash", "-c", 'echo x > "$1.new"; exec grep -q x /etc/hostname', "bash", f])`,
    ],
    writer: bash,
    path: (at) => `${file(at)}.new`,
  },
];

const rules = [{ id: "w", paths: ["/w/**"], severity: "high", class: "immutable" }] as const;

/** Runs the command on each file, some at a time. */
async function doAll(node: RunningNode, { command: [program = "", ...args] }: Deed): Promise<void> {
  for (let from = 0; from < runs; from += 5)
    await Promise.all(
      numbers.slice(from, from + 5).map(async (at) => {
        const child = spawn(program, [...args, node.at(file(at))], { stdio: "ignore" });
        await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
      }),
    );
}

for (const load of [false, true])
  for (const deed of deeds)
    needing(missing, "serial")(
      `${deed.title} is never reported as the later program's alone${load ? ", while every core is busy" : ""}`,
      async (t) => {
        await using node = await startNode({
          rules,
          prepare: (ground) => numbers.forEach((at) => ground.write(file(at), "x\n")),
        });
        using loops = busyLoops(load ? 4 : 0);
        await doAll(node, deed);
        loops[Symbol.dispose]();
        const wanted = new Set(numbers.map((at) => deed.path(at)));
        const found = await until(() => {
          const all = node.alerts().filter(({ path }) => wanted.has(path));
          return new Set(all.map(({ path }) => path)).size === runs ? all : undefined;
        }, 60_000);
        const wrong = found.filter(
          ({ actor }) => actor?.exe !== deed.writer && !actor?.candidates?.includes(deed.writer),
        );
        t.deepEqual(
          wrong.map(({ path, actor }) => ({ path, actor })),
          [],
        );
        const named = found.filter(({ actor }) => actor?.exe === deed.writer).length;
        t.log(`${named} of ${found.length} name the writer, the others both programs`);
        t.true(named >= 0.95 * found.length);
      },
    );

/** Appends to $1 by a descriptor, and executes tee on another file after some microseconds. */
const stranger = `import os, sys, time
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
os.write(fd, b"stranger\\n")
os.close(fd)
end = time.perf_counter_ns() + 1000 * int(sys.argv[2])
while time.perf_counter_ns() < end: pass
os.execv(sys.argv[3], [sys.argv[3], sys.argv[4]])`;

needing(missing, "serial")(
  "a stranger that executes an allowed writer right after its write is never approved",
  async (t) => {
    await using node = await startNode({
      isMachine: true,
      rules: (ground) => [
        { id: "w", paths: [ground.at("/w/**")], severity: "high", writers: [tee] },
        { id: "tee", paths: [tee], severity: "high" },
      ],
      prepare: (ground) => numbers.forEach((at) => ground.write(file(at), "x\n")),
    });
    writeFileSync(join(node.dir, "stranger.py"), stranger);
    for (const at of numbers) {
      const delay = String([0, 50, 100, 200][at % 4]);
      const args = [join(node.dir, "stranger.py"), node.at(file(at)), delay, tee, "/dev/null"];
      await outputOf(spawn(python, args, { stdio: ["ignore", "pipe", "pipe"] }));
    }
    const wanted = new Set(numbers.map((at) => node.at(file(at))));
    const found = await until(() => {
      const all = node.alerts().filter(({ path }) => wanted.has(path));
      return new Set(all.map(({ path }) => path)).size === runs ? all : undefined;
    }, 60_000);
    const approved = found.filter(({ verdict }: Alert) => verdict === "approved");
    t.deepEqual(approved, []);
    t.is(found.filter(({ actor }) => actor?.exe === tee).length, 0);
  },
);

/** Writes, then executes the writer, which itself writes to the same file a moment later. */
const disguised = `import os, sys, time
f, tee = sys.argv[1], sys.argv[2]
fd = os.open(f, os.O_WRONLY | os.O_APPEND)
(reading, writing) = os.pipe()
if os.fork() == 0:
    os.close(reading)
    time.sleep(0.03)
    os.write(writing, b"more\\n")
    os._exit(0)
os.close(writing)
os.dup2(reading, 0)
os.set_inheritable(0, True)
os.write(fd, b"stranger\\n")
os.close(fd)
os.execv(tee, [tee, "-a", f])`;

/**
 * An allowed writer appends; within the same tick of the clock, which leaves the change time as it is, the stranger
 * overwrites a byte in place, then executes the writer on the same file. It never asks for a time: that would make the
 * next change time exact.
 */
const overwriting = `import os, subprocess, sys
f, tee = sys.argv[1], sys.argv[2]
fd = os.open(f, os.O_RDWR | os.O_NOATIME)
child = subprocess.Popen([tee, "-a", f], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
child.stdin.write(b"allowed\\n")
child.stdin.flush()
while len(os.pread(fd, 9, 0)) < 3: pass
os.pwrite(fd, b"E", 0)
child.stdin.close()
os.close(fd)
(reading, writing) = os.pipe()
os.write(writing, b"more\\n")
os.close(writing)
os.dup2(reading, 0)
os.execv(tee, [tee, "-a", f])`;

for (const { title, script, isLate } of [
  { title: "writes, then executes the writer on the same file", script: disguised, isLate: false },
  { title: "overwrites in the tick of an allowed write", script: overwriting, isLate: false },
  { title: "overwrites so, and its events are read late", script: overwriting, isLate: true },
])
  needing(missing, "serial")(`a stranger that ${title} is never approved`, async (t) => {
    await using node = await startNode({
      isMachine: true,
      rules: (ground) => [
        { id: "w", paths: [ground.at("/w/**")], severity: "high", writers: [tee] },
        { id: "tee", paths: [tee], severity: "high" },
      ],
      prepare: (ground) => numbers.forEach((at) => ground.write(file(at), "x\n")),
    });
    writeFileSync(join(node.dir, "stranger.py"), script);
    if (isLate) process.kill(node.watching.pid, "SIGSTOP");
    for (const at of numbers) {
      const args = [join(node.dir, "stranger.py"), node.at(file(at)), tee];
      await outputOf(spawn(python, args, { stdio: ["ignore", "pipe", "pipe"] }));
    }
    if (isLate) process.kill(node.watching.pid, "SIGCONT");
    const isReported = (at: number): boolean =>
      node
        .alerts()
        .some(({ path, verdict }) => path === node.at(file(at)) && verdict === "unexpected");
    await until(() => numbers.every(isReported), 20_000).catch(() => undefined);
    t.deepEqual(
      numbers.filter((at) => !isReported(at)),
      [],
    );
  });

test("these scenarios know the programs that they run", (t) => {
  t.true(missing !== undefined || [bash, python, tee].every((one) => one.startsWith("/")));
});
