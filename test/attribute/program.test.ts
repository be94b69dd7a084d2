import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import test from "ava";
import { ActorReader } from "../../src/attribute/actor.ts";
import { Cgroups } from "../../src/attribute/cgroups.ts";
import { ExecHistory } from "../../src/attribute/exec-history.ts";
import { pathsIn } from "../../src/attribute/kernel-paths.ts";
import { programOf } from "../../src/attribute/program.ts";
import type { Btf } from "../../src/linux/bpf/btf.ts";
import { readBtf } from "../../src/linux/bpf/btf.ts";
import { resolveInRoot } from "../../src/linux/resolve.ts";
import { Observer } from "../../src/observe/observer.ts";
import { makePlace } from "../helpers/tree.ts";
import { makeZombie } from "./zombie.ts";
import { until, within } from "../helpers/wait.ts";

/** Without BPF, or without BTF, only what needs neither is tested. */
const canIdentify = openIdentifying();
const identified = canIdentify ? test.serial : test.serial.skip;

function openIdentifying(): boolean {
  try {
    using history = ExecHistory.open();
    return history.unidentified === undefined;
  } catch {
    return false;
  }
}

const now = () => Date.now();
const sed = realpathSync("/usr/bin/sed");

interface Reported extends Disposable {
  readonly reader: ActorReader;
}

function openReader(btf: () => Btf | undefined = readBtf): Reported {
  const stack = new DisposableStack();
  const { maps } = stack.use(ExecHistory.open(btf));
  const reader = stack.use(new ActorReader({ root: "/", proc: "/proc", maps }));
  return { reader, [Symbol.dispose]: () => stack.dispose() };
}

/** Runs a program to its end; its pid. */
function run(program: string, args: readonly string[] = [], cwd = "/"): number {
  const { pid, error } = spawnSync(program, args, { cwd });
  if (error) throw error;
  return pid;
}

const identityOf = (path: string) => {
  const { dev, ino } = resolveInRoot("/", path) ?? {};
  return { dev, ino };
};

identified("of a process that is gone it is known which file it executed", (t) => {
  using reported = openReader();
  const actor = reported.reader.describe(run(sed, ["--version"]), now());
  t.is(actor?.exe, sed);
  t.deepEqual(actor?.executable, identityOf(sed));
  t.is(actor?.executable?.ino, String(statSync(sed).ino));
});

identified(
  "a name that leads to the executed file through symbolic links is reported as the file's own",
  (t) => {
    using reported = openReader();
    using place = makePlace();
    mkdirSync(place.at("real"));
    copyFileSync(sed, place.at("real/tool"));
    symlinkSync("real", place.at("dir"));
    symlinkSync("dir/tool", place.at("alias"));
    for (const name of ["real/tool", "dir/tool", "alias", "real/../dir/tool"]) {
      const actor = reported.reader.describe(run(place.at(name), ["--version"]), now());
      t.is(actor?.exe, realpathSync(place.at("real/tool")), name);
      t.deepEqual(actor?.executable, identityOf(place.at("real/tool")), name);
    }
  },
);

identified("a relative name stays what it was, and the file is known all the same", (t) => {
  using reported = openReader();
  using place = makePlace();
  copyFileSync(sed, place.at("tool"));
  const actor = reported.reader.describe(run("./tool", ["--version"], place.dir), now());
  t.is(actor?.exe, "./tool");
  t.deepEqual(actor?.executable, identityOf(place.at("tool")));
});

identified(
  "a name that now leads to another file is not resolved, and the executed file is still reported",
  (t) => {
    using reported = openReader();
    using place = makePlace();
    copyFileSync(sed, place.at("evil"));
    symlinkSync("evil", place.at("tool"));
    const evil = identityOf(place.at("evil"));
    const pid = run(place.at("tool"), ["--version"]);
    symlinkSync(sed, place.at("good"));
    renameSync(place.at("good"), place.at("tool"));
    const actor = reported.reader.describe(pid, now());
    t.is(actor?.exe, place.at("tool"));
    t.deepEqual(actor?.executable, evil);
  },
);

identified("a script is its name, and the file that is executed is its interpreter", (t) => {
  using reported = openReader();
  using place = makePlace();
  const script = place.at("sed");
  writeFileSync(script, "#!/bin/sh\n:\n");
  chmodSync(script, 0o755);
  const actor = reported.reader.describe(run(script), now());
  t.is(actor?.exe, script);
  t.deepEqual(actor?.executable, identityOf("/bin/sh"));
});

identified("a child that executes nothing has its parent's file", (t) => {
  using reported = openReader();
  const { stdout } = spawnSync("bash", ["-c", "(:; exit 0) & echo $!; wait"]);
  const actor = reported.reader.describe(Number(stdout.toString()), now());
  t.is(actor?.exe, realpathSync("/bin/bash"));
  t.deepEqual(actor?.executable, identityOf("/bin/bash"));
});

identified("a file that was executed behind a bind mount is not the one of that name", (t) => {
  using reported = openReader();
  using place = makePlace();
  for (const name of ["evil", "tool"]) copyFileSync(sed, place.at(name));
  const script = 'mount --bind "$0/evil" "$0/tool" && echo $$ && exec "$0/tool" --version';
  const { stdout } = spawnSync("unshare", ["-m", "sh", "-c", script, place.dir]);
  const actor = reported.reader.describe(Number.parseInt(stdout.toString(), 10), now());
  t.is(actor?.exe, place.at("tool"));
  t.deepEqual(actor?.executable, identityOf(place.at("evil")));
});

identified("what lives is reported by /proc", async (t) => {
  using reported = openReader();
  using place = makePlace();
  copyFileSync(realpathSync("/usr/bin/sleep"), place.at("before"));
  const child = spawn(place.at("before"), ["600"]);
  await new Promise((resolve) => child.once("spawn", resolve));
  renameSync(place.at("before"), place.at("after"));
  const actor = reported.reader.describe(child.pid ?? 0, now());
  t.is(actor?.exe, realpathSync(place.at("after")));
  t.deepEqual(actor?.executable, identityOf(place.at("after")));
  child.kill("SIGKILL");
  await within(new Promise((resolve) => child.once("exit", resolve)), 10_000, "sleep");
});

identified("without BTF the name is reported, and which file it was is not", (t) => {
  using history = ExecHistory.open(() => undefined);
  t.regex(history.unidentified ?? "", /BTF/);
  using reported = openReader(() => undefined);
  const actor = reported.reader.describe(run(sed, ["--version"]), now());
  t.is(actor?.exe, sed);
  t.is(actor?.executable, undefined);
});

identified(
  "where the structures cannot be looked at that is said, and names are reported all the same",
  (t) => {
    // No instruction holds such a number.
    const wrong: Btf = { offsetOf: () => 2 ** 31, valueOf: () => undefined };
    using history = ExecHistory.open(() => wrong);
    using reader = new ActorReader({ root: "/", proc: "/proc", maps: history.maps });
    t.regex(history.unidentified ?? "", /2147483648|2_147_483_648/);
    const actor = reader.describe(run(sed, ["--version"]), now());
    t.is(actor?.exe, sed);
    t.is(actor?.executable, undefined);
  },
);

identified("offsets that lead nowhere leave the file unknown and harm nothing", (t) => {
  for (const offset of [0, 8, 1 << 20]) {
    const wrong: Btf = { offsetOf: () => offset, valueOf: () => 3 };
    using reported = openReader(() => wrong);
    const actor = reported.reader.describe(run(sed, ["--version"]), now());
    t.is(actor?.exe, sed);
    t.notDeepEqual(actor?.executable, identityOf(sed));
  }
});

const ext4 = 0xef53;
const onExt4 = canIdentify && statfsSync(tmpdir()).type === ext4 ? test.serial : test.serial.skip;

onExt4("who made an inode is known, if it is younger than its directory", (t) => {
  using place = makePlace();
  using reported = openReader();
  const makers = ["mkdir d", "echo x > d/f", "ln -s f d/l", "mkdir d/e", "mkfifo d/e/p"];
  const pids = makers.map((command) => run("/bin/sh", ["-c", `${command}; exit`], place.dir));
  const makerOf = (name: string, above: string) => {
    const [made, directory] = [name, above].map((one) => observed(place.at(one)));
    return made && directory && reported.reader.describeMaker(made, directory, now());
  };
  t.is(makerOf("d/f", "d")?.pid, pids[1]);
  t.is(makerOf("d/f", "d")?.exe, realpathSync("/bin/sh"));
  for (const [name, above, command] of [
    ["d/l", "d", "ln"],
    ["d/e", "d", "mkdir"],
    ["d/e/p", "d/e", "mkfifo"],
  ] as const)
    t.is(makerOf(name, above)?.exe, realpathSync(`/usr/bin/${command}`), name);
  t.is(makerOf("d", "."), undefined, "its directory is older than the history");
  t.is(makerOf("d", "d/e"), undefined, "it is older than that directory");
  const { dev } = observed(place.at("d")) ?? { dev: "" };
  const nobodys = { dev, ino: "18446744073709551615" };
  t.is(reported.reader.describeMaker(nobodys, nobodys, now()), undefined);
});

function observed(path: string): { readonly dev: string; readonly ino: string } | undefined {
  using observer = new Observer("/");
  return observer.observe(path, { hash: false });
}

const without = (missing: string): Btf => ({
  offsetOf: (struct, member) => (`${struct}.${member}` === missing ? undefined : 8),
  valueOf: (_, name) => (name === missing ? undefined : 4),
});

test("structures are not read when one is missing", (t) => {
  t.deepEqual(pathsIn(without("nothing")), {
    executable: { ino: [8, 8, 8, 8], dev: [8, 8, 8, 8, 8] },
    arguments: { start: [8, 8], end: [8, 8] },
    controller: [8, 40, 8, 8, 8],
  });
  for (const missing of ["task_struct.mm", "inode.i_ino", "super_block.s_dev"])
    t.is(pathsIn(without(missing)).executable, undefined, missing);
  for (const missing of ["mm_struct.arg_start", "mm_struct.arg_end"])
    t.is(pathsIn(without(missing)).arguments, undefined, missing);
  for (const missing of ["css_set.subsys", "kernfs_node.id", "memory_cgrp_id"])
    t.is(pathsIn(without(missing)).controller, undefined, missing);
});

/** Where the memory controller's hierarchy is: of version 1, else the only one there is. */
const groups = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].find((dir) =>
  existsSync(`${dir}/cgroup.procs`),
);

/** A cgroup as the kubelet names one; only root can make it. */
function makeGroup(): { readonly dir: string; readonly id: string } & AsyncDisposable {
  const id = randomBytes(32).toString("hex");
  const pod = `${groups}/kubepods-test-${process.pid}-${id.slice(0, 8)}`;
  const dir = `${pod}/${id}`;
  mkdirSync(dir, { recursive: true });
  return {
    dir,
    id,
    // A group is busy until the kernel has buried its last process.
    [Symbol.asyncDispose]: async () => {
      for (const one of [dir, pod])
        await until(() => {
          try {
            rmdirSync(one);
            return true;
          } catch {
            return !existsSync(one);
          }
        });
    },
  };
}

const inGroup = canIdentify && groups !== undefined ? identified : test.serial.skip;

inGroup(
  "a process that is gone is reported with its container, on nodes with cgroups of version 1 too",
  async (t) => {
    using reported = openReader();
    await using group = makeGroup();
    const script = 'echo $$ > "$0/cgroup.procs" && echo $$ && exec sed --version > /dev/null';
    const { stdout } = spawnSync("sh", ["-c", script, group.dir]);
    const actor = reported.reader.describe(Number(stdout.toString()), now());
    t.is(actor?.comm, "sed");
    t.is(actor?.container?.id, group.id);
    const outside = reported.reader.describe(run(sed, ["--version"]), now());
    t.is(outside?.container, undefined);
    t.is(typeof outside?.cgroup, "string");
  },
);

inGroup(
  "a process that is exiting is reported with its container, although /proc says that it is in none",
  async (t) => {
    using reported = openReader();
    await using group = makeGroup();
    await using zombie = await makeZombie('echo $$ > "$0/cgroup.procs"', group.dir);
    const actor = reported.reader.describe(zombie.pid, now());
    t.is(actor?.comm, "cat");
    t.is(actor?.exe, realpathSync("/usr/bin/cat"));
    t.is(actor?.container?.id, group.id);
  },
);

inGroup(
  "of a process whose cgroup is gone too it is not said that it ran outside of containers",
  async (t) => {
    using reported = openReader();
    let pid = 0;
    {
      await using group = makeGroup();
      const script = 'echo $$ > "$0/cgroup.procs" && echo $$ && exec sed --version > /dev/null';
      pid = Number(spawnSync("sh", ["-c", script, group.dir]).stdout.toString());
    }
    const actor = reported.reader.describe(pid, now());
    t.is(actor?.comm, "sed");
    t.is(actor?.cgroup, undefined);
    t.is(actor?.container, undefined);
  },
);

test("where no cgroups are mounted none is reported", (t) => {
  using place = makePlace();
  using cgroups = new Cgroups(place.dir);
  const record = { notedAt: 0n, comm: "", uid: 0, parent: 0, parentComm: "", forkedAt: 0n };
  t.is(cgroups.pathOf({ ...record, cgroupId: 1n, controllerId: 1n }), undefined);
});

const record = {
  notedAt: 1n,
  comm: "x",
  uid: 0,
  cgroupId: 1n,
  parent: 1,
  parentComm: "",
  forkedAt: 1n,
};

test("a filesystem that reports two device numbers leaves it open which file it was", (t) => {
  using place = makePlace();
  writeFileSync(place.at("tool"), "");
  const there = resolveInRoot(place.dir, "/tool");
  const isReal = there?.dev.startsWith("0:") === false;
  const anonymous = { dev: "0:99", ino: there?.ino ?? "" };
  const open = programOf(
    { live: undefined, record: { ...record, filename: "/none", executable: anonymous } },
    place.dir,
  );
  t.deepEqual(open, { exe: "/none" });
  const near = programOf(
    { live: undefined, record: { ...record, filename: "/tool", executable: anonymous } },
    place.dir,
  );
  t.deepEqual(near, isReal ? { exe: "/tool", executable: anonymous } : { exe: "/tool" });
});

test("a name that goes through a link is reported as the file that it leads to, on the node or here", (t) => {
  using place = makePlace();
  writeFileSync(place.at("tool"), "");
  symlinkSync("tool", place.at("link"));
  const link = place.at("link");
  const { dev, ino } = resolveInRoot("/", link) ?? { dev: "", ino: "" };
  const noted = (filename: string) => ({
    live: undefined,
    record: { ...record, filename, executable: { dev, ino } },
  });
  t.is(programOf(noted("/link"), place.dir).exe, "/tool");
  t.is(programOf(noted(link), place.dir).exe, realpathSync(link));
  t.is(programOf(noted("/etc/hostname"), place.dir).exe, "/etc/hostname");
});

test("a process without a note has no program", (t) => {
  t.deepEqual(programOf({ live: undefined, record }, "/"), {});
  t.deepEqual(programOf({ live: undefined, record: undefined }, "/"), {});
});
