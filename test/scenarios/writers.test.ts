import test from "ava";
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  realpathSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Verdict } from "../../src/core/change/change.ts";
import type { ChangeObject } from "../../src/core/text/change-json.ts";
import { ExecHistory } from "../../src/attribute/exec-history.ts";
import type { Watching } from "../helpers/agent.ts";
import type { PartialRule, Rules } from "../helpers/node.ts";
import { startNode } from "../helpers/running-node.ts";
import { until } from "../helpers/wait.ts";

/** Needs root, fanotify, BPF and BTF: without them no process that is gone is an allowed writer. */
const scenario = canIdentify() ? test.serial : test.serial.skip;

function canIdentify(): boolean {
  try {
    using history = ExecHistory.open();
    return process.getuid?.() === 0 && history.unidentified === undefined;
  } catch {
    return false;
  }
}

/** This machine's own programs, by the real path of each. */
const own = {
  sed: realpathSync("/usr/bin/sed"),
  cp: realpathSync("/usr/bin/cp"),
  tee: realpathSync("/usr/bin/tee"),
  install: realpathSync("/usr/bin/install"),
} as const;

const deadline = 60_000;

interface Ground extends AsyncDisposable {
  readonly policy: string;
  readonly at: (path: string) => string;
  readonly watching: Watching;
  /** Everything reported for a path so far. */
  readonly reported: (path: string) => readonly ChangeObject[];
  /** Awaits what is reported of the path next. */
  readonly next: (path: string, act: () => void) => Promise<ChangeObject>;
  /** A change that is reported after everything before it. */
  readonly mark: () => Promise<void>;
}

/** The agent on this machine's own root, with rules for a directory of the test's own. */
async function makeGround(): Promise<Ground> {
  const node = await startNode({
    isMachine: true,
    rules: ({ at }) => rulesFor(at),
    engine: "auto",
    prepare: ({ at, write }) => {
      for (const name of ["pod", "podless", "mark", "bin"])
        mkdirSync(at(name), { recursive: true });
      for (const [file, text] of files) write(file, text);
      copyFileSync(own.sed, at("bin/tool"));
    },
    watch: { quickSweepEvery: "1h", fullSweepEvery: "12h" },
  });
  const { at, policy, watching } = node;
  const reported = (path: string) => node.alerts().filter((one) => one.path === at(path));
  const next = async (path: string, act: () => void): Promise<ChangeObject> => {
    const before = reported(path).length;
    act();
    return await until(() => reported(path)[before], deadline);
  };
  let marks = 0;
  const mark = async (): Promise<void> => {
    const path = `mark/${(marks += 1)}`;
    await next(path, () => writeFileSync(at(path), ""));
  };
  return {
    policy,
    at,
    watching,
    reported,
    next,
    mark,
    [Symbol.asyncDispose]: async () => await node[Symbol.asyncDispose](),
  };
}

const names = Object.keys(own) as readonly (keyof typeof own)[];

const files: readonly (readonly [path: string, text: string])[] = [
  ...names.flatMap((name) =>
    Array.from({ length: 50 }, (_, at) => [`many/${name}-${at}`, "old\n"] as const),
  ),
  ...["plain", "alias", "tool", "volatile", "pod", "podless"].map(
    (name) => [`${name}/file`, "old\n"] as const,
  ),
];

function rulesFor(at: (path: string) => string): Rules {
  const rule = (id: string, more: Partial<PartialRule> = {}): PartialRule => ({
    id,
    paths: [at(`${id}/**`)],
    severity: "high",
    ...more,
  });
  return [
    rule("many", { writers: Object.values(own) }),
    rule("plain", { writers: [own.sed] }),
    // On a merged-usr node /bin leads to /usr/bin.
    rule("alias", { writers: ["/bin/sed"] }),
    rule("tool", { writers: [at("bin/tool")] }),
    rule("volatile", { writers: [own.sed], class: "volatile" }),
    rule("pod", { writers: [own.sed] }),
    rule("podless", { writers: [own.sed], containerWriters: true }),
    rule("bin", { severity: "critical" }),
    rule("mark"),
  ];
}

function run(program: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program}: ${error?.message ?? stderr}`);
}

/** Short-lived in turn, and gone when the next one starts. */
const writes: Readonly<Record<keyof typeof own, (file: string, source: string) => void>> = {
  sed: (file) => run(own.sed, "-i", "s/old/new/", file),
  cp: (file, source) => run(own.cp, source, file),
  tee: (file) => void spawnSync(own.tee, [file], { input: "new by tee\n" }),
  install: (file, source) => run(own.install, "-m", "600", source, file),
};

const verdicts = (reported: readonly ChangeObject[]) =>
  reported.map(
    ({ change, path, verdict, actor }) =>
      `${verdict} ${change} ${path} by ${actor?.exe ?? `pid ${actor?.pid}`}`,
  );

const edit = (file: string) => ["-i", "s/$/ more/", file];

scenario(
  "fifty moments of each listed program are approved, and nothing else is reported",
  async (t) => {
    await using ground = await makeGround();
    const { at, reported, mark } = ground;
    writeFileSync(at("source"), "new by copy\n");
    for (let round = 0; round < 50; round += 1)
      for (const name of names) writes[name](at(`many/${name}-${round}`), at("source"));
    const paths = names.flatMap((name) =>
      Array.from({ length: 50 }, (_, round) => `many/${name}-${round}`),
    );
    await until(() => paths.every((path) => reported(path).length > 0), 120_000).catch(
      () => undefined,
    );
    await mark();
    const all = paths.flatMap(reported);
    t.deepEqual(verdicts(all.filter(({ verdict }) => verdict !== "approved")), []);
    t.deepEqual(
      paths.filter((path) => reported(path).length === 0),
      [],
    );
    for (const name of names)
      t.true(
        reported(`many/${name}-7`).every(({ actor }) => actor?.exe === own[name]),
        name,
      );
  },
);

scenario("a writer is allowed by what it is, not by what it is called", async (t) => {
  await using ground = await makeGround();
  const { at, next, reported, mark } = ground;
  const expect = async (
    what: string,
    path: string,
    want: { readonly verdict: Verdict; readonly exe?: string; act: () => void },
  ): Promise<ChangeObject> => {
    const one = await next(path, want.act);
    t.is(one.verdict, want.verdict, `${what}: ${verdicts([one]).join()}`);
    if (want.exe !== undefined) t.is(one.actor?.exe, want.exe, what);
    return one;
  };

  await expect("the listed program", "plain/file", {
    verdict: "approved",
    exe: own.sed,
    act: () => run(own.sed, ...edit(at("plain/file"))),
  });
  await expect("under a name that leads to the listed one", "plain/file", {
    verdict: "approved",
    exe: own.sed,
    act: () => run("/bin/sed", ...edit(at("plain/file"))),
  });
  await expect("listed under a name that leads to it", "alias/file", {
    verdict: "approved",
    exe: own.sed,
    act: () => run(own.sed, ...edit(at("alias/file"))),
  });

  mkdirSync(at("elsewhere"));
  copyFileSync(own.sed, at("elsewhere/sed"));
  await expect("a copy at another path", "plain/file", {
    verdict: "unexpected",
    exe: at("elsewhere/sed"),
    act: () => run(at("elsewhere/sed"), ...edit(at("plain/file"))),
  });

  const inside = 'mount --bind "$0" "$1" && exec "$1" -i "s/$/ more/" "$2"';
  await expect("a copy that is mounted over the listed path", "plain/file", {
    verdict: "unexpected",
    exe: own.sed,
    act: () =>
      run("unshare", "-m", "sh", "-c", inside, at("elsewhere/sed"), own.sed, at("plain/file")),
  });

  const script = at("elsewhere/script");
  mkdirSync(script);
  writeFileSync(join(script, "sed"), '#!/bin/sh\necho more >> "$1"\n');
  chmodSync(join(script, "sed"), 0o755);
  await expect("a script that is called like the writer", "plain/file", {
    verdict: "unexpected",
    act: () => run(join(script, "sed"), at("plain/file")),
  });
  const mounted = 'mount --bind "$0" "$1" && exec "$1" "$2"';
  await expect("a script that is mounted over the listed path", "plain/file", {
    verdict: "unexpected",
    act: () =>
      run("unshare", "-m", "sh", "-c", mounted, join(script, "sed"), own.sed, at("plain/file")),
  });
  await expect("another program that calls itself so", "plain/file", {
    verdict: "unexpected",
    act: () => {
      run("bash", "-c", `exec -a ${own.sed} tee -a ${at("plain/file")} <<< more > /dev/null`);
    },
  });

  await expect("a program that its own rule watches", "tool/file", {
    verdict: "approved",
    exe: at("bin/tool"),
    act: () => run(at("bin/tool"), ...edit(at("tool/file"))),
  });
  const changed = await next("bin/tool", () => appendFileSync(at("bin/tool"), "\0"));
  t.is(changed.verdict, "unexpected");
  await expect("that program after it was changed", "tool/file", {
    verdict: "unexpected",
    exe: at("bin/tool"),
    act: () => run(at("bin/tool"), ...edit(at("tool/file"))),
  });

  run(own.sed, ...edit(at("volatile/file")));
  await mark();
  t.deepEqual(
    verdicts(reported("volatile/file").filter(({ verdict }) => verdict !== "approved")),
    [],
  );
  await expect("a volatile file under an unlisted program", "volatile/file", {
    verdict: "unexpected",
    act: () => run("sh", "-c", 'echo more >> "$0"', at("volatile/file")),
  });
});

scenario(
  "who may not write is reported although an allowed writer wrote just before and after it",
  async (t) => {
    await using ground = await makeGround();
    const { at, next } = ground;
    const file = at("plain/file");
    // What is being written is looked at when it is closed.
    const script =
      'exec 3> >(exec "$0" -u -n "w $1"); echo one >&3; until grep -q one "$1"; do :; done; echo evil >> "$1"';
    const one = await next("plain/file", () => {
      run("bash", "-c", `${script}; echo two >&3; exec 3>&-; wait; :`, own.sed, file);
    });
    t.is(one.verdict, "unexpected", verdicts([one]).join());
    t.is(one.actor?.exe, realpathSync("/bin/bash"));
  },
);

scenario(
  "who may not write is reported where content may change, though it never opens the file or lets an allowed writer close it",
  async (t) => {
    await using ground = await makeGround();
    const { at, next, reported, mark } = ground;
    const file = at("volatile/file");
    const cut = await next("volatile/file", () => {
      run("python3", "-c", "import os, sys; os.truncate(sys.argv[1], 1)", file);
    });
    t.is(cut.verdict, "unexpected", verdicts([cut]).join());
    t.is(cut.actor?.comm, "python3");
    const script = 'exec 7>> "$1"; echo evil >&7; read -r _; exec "$0" -n p /dev/null';
    const holder = spawn("bash", ["-c", script, own.sed, file]);
    const ended = new Promise((resolve) => holder.once("close", resolve));
    const handed = await next("volatile/file", () => undefined).finally(() => holder.stdin.end());
    await ended;
    t.is(handed.verdict, "unexpected", verdicts([handed]).join());
    t.is(handed.actor?.comm, "bash");
    const before = reported("volatile/file").length;
    run(own.sed, "-n", `w ${file}`, ground.policy);
    await mark();
    // On a slow day the stranger's write and its close are two reports.
    const later = reported("volatile/file").slice(before);
    t.deepEqual(verdicts(later.filter(({ actor }) => actor?.comm !== "bash")), []);
  },
);

/** Where a container's cgroup would be: in the memory controller's hierarchy of version 1, else in the only one. */
const groups = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"].find((dir) =>
  existsSync(`${dir}/cgroup.procs`),
);

/** A cgroup as the kubelet names a container's. */
function makeGroup(): { readonly dir: string; readonly id: string } & AsyncDisposable {
  const id = randomBytes(32).toString("hex");
  const above = `${groups}/kubepods-writers-${process.pid}-${id.slice(0, 8)}`;
  const dir = join(above, "pod01234567-89ab-cdef-0123-456789abcdef", id);
  mkdirSync(dir, { recursive: true });
  return {
    dir,
    id,
    // A group is busy until the kernel has buried its last process.
    [Symbol.asyncDispose]: async () => {
      for (const one of [dir, join(dir, ".."), above]) await until(() => isRemoved(one));
    },
  };
}

function isRemoved(dir: string): boolean {
  try {
    rmdirSync(dir);
    return true;
  } catch {
    return !existsSync(dir);
  }
}

const inContainer = groups === undefined ? test.serial.skip : scenario;

inContainer(
  "the node's own program, run in a container, is a writer only where the rule says so",
  async (t) => {
    await using ground = await makeGround();
    await using group = makeGroup();
    const { at, next } = ground;
    const short = (file: string): void => {
      const line = 'echo $$ > "$0/cgroup.procs" && exec "$1" -i "s/$/ more/" "$2"';
      run("sh", "-c", line, group.dir, own.sed, file);
    };
    const gone = await next("pod/file", () => short(at("pod/file")));
    t.is(gone.verdict, "unexpected", verdicts([gone]).join());
    t.is(gone.actor?.container?.id, group.id);
    const allowed = await next("podless/file", () => short(at("podless/file")));
    t.is(allowed.verdict, "approved", verdicts([allowed]).join());
    t.is(allowed.actor?.container?.id, group.id);

    // The same by one that still lives when it is looked up: sed reads on from its standard input.
    const line = 'echo $$ > "$0/cgroup.procs" && exec "$1" -n "w $2"';
    const child = spawn("sh", ["-c", line, group.dir, own.sed, at("pod/file")]);
    const living = await next("pod/file", () => void child.stdin.write("a line\n")).finally(() => {
      child.stdin.end();
    });
    await new Promise((resolve) => child.once("close", resolve));
    t.is(living.verdict, "unexpected", verdicts([living]).join());
    t.is(living.actor?.container?.id, group.id);
  },
);

scenario(
  "what a process wrote before it executed a listed program is not approved, however late it is read",
  async (t) => {
    await using ground = await makeGround();
    const { at, next, watching } = ground;
    process.kill(watching.pid, "SIGSTOP");
    const script = 'echo evil >> "$1"; exec "$2" s/a/b/';
    const args = ["-c", script, "sh", at("plain/file"), own.sed];
    const child = spawn("sh", args, { stdio: ["pipe", "ignore", "inherit"] });
    await until(() => realpathSync(`/proc/${child.pid}/exe`) === own.sed);
    const evil = await next("plain/file", () => process.kill(watching.pid, "SIGCONT"));
    t.is(evil.verdict, "unexpected");
    t.deepEqual([evil.actor?.pid, evil.actor?.exe], [child.pid, realpathSync("/bin/sh")]);
    child.stdin?.end();
    // The same program, as late, of what it did itself.
    process.kill(watching.pid, "SIGSTOP");
    run(own.sed, ...edit(at("plain/file")));
    const { verdict, actor } = await next("plain/file", () =>
      process.kill(watching.pid, "SIGCONT"),
    );
    t.deepEqual([verdict, actor?.exe], ["approved", own.sed]);
  },
);
