import { execFile, execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import type { ExecutionContext } from "ava";
import type { Hint, Step } from "../../../src/core/change/hint.ts";
import { decodePath } from "../../../src/core/path.ts";
import type { FileClass, RuleIndex } from "../../../src/core/policy/rule.ts";
import { Attribution } from "../../../src/attribute/attribute.ts";
import { openGroup } from "../../../src/linux/fanotify.ts";
import { close } from "../../../src/linux/files.ts";
import type { Engine } from "../../../src/watch/engine.ts";
import { fanotifyEngine } from "../../../src/watch/fanotify/engine.ts";
import type { FanotifyOptions } from "../../../src/watch/fanotify/engine.ts";
import { leadsTo } from "../../../src/watch/selftest.ts";
import { needing } from "../../helpers/needs.ts";
import { until } from "../../helpers/wait.ts";
import { engineContract } from "../contract.ts";
import { Collected, indexOf, temporaryDirectory } from "../stub.ts";

const run = promisify(execFile);

/** fanotify with pids needs CAP_SYS_ADMIN: elsewhere there is nothing to test but the refusal. */
const isPermitted = canOpen();
const whenPermitted = isPermitted ? test.serial : test.serial.skip;
const withHistory = needing(historyMissing(), "serial");

if (isPermitted) {
  engineContract(test, "fanotify", fanotifyEngine());
  engineContract(test, "fanotify of Linux 5.16", fanotifyEngine({ levels: ["file"] }));
}

/** Why no BPF program notes which programs a process executes here. Undefined: one does. */
function historyMissing(): string | undefined {
  if (!isPermitted) return "needs fanotify with pids";
  using attribution = Attribution.open({ root: "/" });
  return attribution.mode === "bpf" ? undefined : `needs BPF: ${attribution.blind.join("; ")}`;
}

function canOpen(): boolean {
  try {
    close(openGroup().fd);
    return true;
  } catch {
    return false;
  }
}

interface Started extends AsyncDisposable {
  readonly root: string;
  readonly watched: string;
  readonly outside: string;
  readonly engine: Engine;
  readonly collected: Collected;
}

interface Preparation extends FanotifyOptions {
  readonly index?: RuleIndex;
  readonly within?: string;
  readonly directories?: readonly string[];
  readonly populate?: (root: string) => void;
}

async function started(preparation: Preparation = {}): Promise<Started> {
  const directory = temporaryDirectory();
  const root = directory.path;
  for (const name of ["watched", "outside"]) fs.mkdirSync(join(root, name));
  preparation.populate?.(root);
  const stop = new AbortController();
  const collected = new Collected();
  const engine = fanotifyEngine(preparation)({
    root,
    ...(preparation.within !== undefined && { within: preparation.within }),
    index: preparation.index ?? indexOf("/watched"),
    directories: () => preparation.directories ?? [],
    signal: stop.signal,
    now: Date.now,
    sink: collected.sink,
  });
  await engine.ready;
  return {
    root,
    watched: join(root, "watched"),
    outside: join(root, "outside"),
    engine,
    collected,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await engine.ended;
      directory[Symbol.dispose]();
    },
  };
}

type PathHint = Extract<Hint, { kind: "path" }>;

/** The hints of a path until one has the step, in order. */
async function hintsOf(
  t: ExecutionContext,
  { collected }: Started,
  [path, last]: readonly [string, Step],
): Promise<readonly PathHint[]> {
  const isLast = (hint: Hint) => hint.kind === "path" && hint.path === path && hint.step === last;
  t.true(await collected.has(isLast), `no hint that ${path} was ${last}`);
  return collected.hints
    .filter((hint) => hint.kind === "path")
    .filter((hint) => hint.path === path);
}

const isTreeOver = (path: string) => (hint: Hint) => hint.kind === "tree" && leadsTo(hint, path);
const isUnwatched = (path: string) => (hint: Hint) =>
  hint.kind === "unwatched" && hint.path === path;
const countDescriptors = () => fs.readdirSync("/proc/self/fd").length;
const stepsOf = (hints: readonly PathHint[]) => hints.map(({ step }) => step);

whenPermitted("a file that was created and deleted at once leaves both steps", async (t) => {
  await using engine = await started();
  fs.writeFileSync(join(engine.watched, "brief"), "x");
  fs.unlinkSync(join(engine.watched, "brief"));
  const steps = stepsOf(await hintsOf(t, engine, ["/watched/brief", "deleted"]));
  t.is(steps[0], "created");
  t.is(steps.at(-1), "deleted");
});

whenPermitted("a rename is one hint with both names", async (t) => {
  await using engine = await started({
    populate: (root) => fs.writeFileSync(join(root, "watched/a"), "x"),
  });
  fs.renameSync(join(engine.watched, "a"), join(engine.watched, "b"));
  const hints = await hintsOf(t, engine, ["/watched/b", "renamed"]);
  t.deepEqual(
    hints.map(({ step, from }) => ({ step, from })),
    [{ step: "renamed", from: "/watched/a" }],
  );
});

whenPermitted("before Linux 5.17 the two halves of a rename are joined", async (t) => {
  await using engine = await started({
    levels: ["file"],
    populate(root) {
      fs.writeFileSync(join(root, "watched/a"), "x");
      fs.mkdirSync(join(root, "watched/d"));
    },
  });
  fs.renameSync(join(engine.watched, "a"), join(engine.watched, "b"));
  fs.renameSync(join(engine.watched, "d"), join(engine.watched, "e"));
  const [file] = await hintsOf(t, engine, ["/watched/b", "renamed"]);
  const [directory] = await hintsOf(t, engine, ["/watched/e", "renamed"]);
  t.is(file?.from, "/watched/a");
  t.is(directory?.from, "/watched/d");
});

whenPermitted("what happens deep below an exchanged directory has its new path", async (t) => {
  await using engine = await started({
    populate(root) {
      for (const name of ["one", "two"]) {
        fs.mkdirSync(join(root, "watched", name, "deep"), { recursive: true });
        fs.writeFileSync(join(root, "watched", name, "deep", `from-${name}`), "x");
      }
    },
  });
  execFileSync("python3", [
    "-c",
    "import ctypes,sys\na,b=[x.encode() for x in sys.argv[1:3]]\nassert ctypes.CDLL(None).renameat2(-100,a,-100,b,2)==0",
    join(engine.watched, "one"),
    join(engine.watched, "two"),
  ]);
  fs.appendFileSync(join(engine.watched, "two/deep/from-one"), "y");
  fs.appendFileSync(join(engine.watched, "one/deep/from-two"), "y");
  await hintsOf(t, engine, ["/watched/two/deep/from-one", "closed"]);
  await hintsOf(t, engine, ["/watched/one/deep/from-two", "closed"]);
  t.false(
    engine.collected.hints.some(
      (hint) => leadsTo(hint, "/watched/one/deep/from-one") && hint.kind === "path",
    ),
  );
});

for (const levels of [["target"], ["file"]] as const)
  whenPermitted(
    `a directory that is moved there, back and there again by one process is followed (${levels[0]})`,
    async (t) => {
      await using engine = await started({
        levels,
        populate: (root) => fs.mkdirSync(join(root, "watched/a/deep"), { recursive: true }),
      });
      const [a, b] = [join(engine.watched, "a"), join(engine.watched, "b")];
      for (const [from, to] of [
        [a, b],
        [b, a],
        [a, b],
        [b, a],
        [a, b],
      ] as const)
        fs.renameSync(from, to);
      await engine.collected.has((hint) => hint.kind === "path" && hint.path === "/watched/b");
      fs.writeFileSync(join(b, "deep/file"), "x");
      await hintsOf(t, engine, ["/watched/b/deep/file", "closed"]);
    },
  );

whenPermitted(
  "a file that is moved there, back and there again is still known by its inode",
  async (t) => {
    await using engine = await started({
      populate(root) {
        fs.writeFileSync(join(root, "watched/a"), "x");
        fs.linkSync(join(root, "watched/a"), join(root, "outside/hard"));
      },
    });
    const [a, b] = [join(engine.watched, "a"), join(engine.watched, "b")];
    fs.renameSync(a, b);
    fs.renameSync(b, a);
    fs.renameSync(a, b);
    await engine.collected.has((hint) => hint.kind === "path" && hint.path === "/watched/b");
    fs.appendFileSync(join(engine.outside, "hard"), "y");
    const hints = await hintsOf(t, engine, ["/watched/b", "closed"]);
    t.is(hints.at(-1)?.through, "/outside/hard");
  },
);

whenPermitted("a write through a hard link outside names the link", async (t) => {
  await using engine = await started({
    populate(root) {
      fs.writeFileSync(join(root, "watched/file"), "x");
      fs.linkSync(join(root, "watched/file"), join(root, "outside/hard"));
    },
  });
  fs.appendFileSync(join(engine.outside, "hard"), "y");
  const hints = await hintsOf(t, engine, ["/watched/file", "closed"]);
  t.deepEqual([...new Set(hints.map(({ through }) => through))], ["/outside/hard"]);
});

whenPermitted("a hard link that is made outside is reported as linked", async (t) => {
  await using engine = await started({
    populate: (root) => fs.writeFileSync(join(root, "watched/file"), "x"),
  });
  fs.linkSync(join(engine.watched, "file"), join(engine.outside, "hard"));
  const hints = await hintsOf(t, engine, ["/watched/file", "linked"]);
  t.deepEqual(stepsOf(hints), ["linked"]);
});

whenPermitted("both watched names of one inode are hinted at when one is written", async (t) => {
  await using engine = await started({
    populate(root) {
      fs.writeFileSync(join(root, "watched/a"), "x");
      fs.linkSync(join(root, "watched/a"), join(root, "watched/b"));
    },
  });
  fs.appendFileSync(join(engine.watched, "a"), "y");
  const [direct] = await hintsOf(t, engine, ["/watched/a", "closed"]);
  const [other] = await hintsOf(t, engine, ["/watched/b", "closed"]);
  t.is(direct?.through, undefined);
  t.is(other?.through, "/watched/a");
});

whenPermitted("a name that is not UTF-8 is reported exactly", async (t) => {
  await using engine = await started();
  const name = Buffer.from("/n\xff\xfe", "latin1");
  fs.writeFileSync(Buffer.concat([Buffer.from(engine.watched), name]), "x");
  const hints = await hintsOf(t, engine, [`/watched${decodePath(name)}`, "closed"]);
  t.is(hints[0]?.step, "created");
});

const classes: readonly (readonly [FileClass, boolean])[] = [
  ["immutable", true],
  ["rotates", true],
  ["volatile", false],
  ["sealed", false],
  ["append-only", false],
];

for (const [fileClass, isTold] of classes)
  whenPermitted(
    `a write to a file of class ${fileClass} that stays open is ${isTold ? "" : "not "}reported`,
    async (t) => {
      const plain = indexOf("/watched");
      const index: RuleIndex = {
        ...plain,
        find(path) {
          const match = plain.find(path);
          return match && { ...match, rule: { ...match.rule, class: fileClass } };
        },
      };
      await using engine = await started({
        index,
        populate: (root) => fs.writeFileSync(join(root, "watched/file"), "x"),
      });
      const fd = fs.openSync(join(engine.watched, "file"), "r+");
      fs.writeSync(fd, "y");
      fs.fchmodSync(fd, 0o600);
      const hints = await hintsOf(t, engine, ["/watched/file", "attributes"]);
      fs.closeSync(fd);
      t.is(stepsOf(hints).includes("modified"), isTold);
      await hintsOf(t, engine, ["/watched/file", "closed"]);
    },
  );

whenPermitted("a rule for one file sees it replaced, deleted and made again", async (t) => {
  await using engine = await started({
    index: indexOf("/outside/one.conf"),
    populate: (root) => fs.writeFileSync(join(root, "outside/one.conf"), "x"),
  });
  const file = join(engine.outside, "one.conf");
  fs.appendFileSync(file, "y");
  await hintsOf(t, engine, ["/outside/one.conf", "closed"]);
  fs.writeFileSync(`${file}.new`, "z");
  fs.renameSync(`${file}.new`, file);
  const [, renamed] = [
    await hintsOf(t, engine, ["/outside/one.conf", "renamed"]),
    engine.collected.hints.findLast((hint) => hint.kind === "path" && hint.step === "renamed"),
  ];
  t.like(renamed, { path: "/outside/one.conf", from: "/outside/one.conf.new" });
  fs.appendFileSync(file, "y");
  fs.unlinkSync(file);
  await hintsOf(t, engine, ["/outside/one.conf", "deleted"]);
  fs.writeFileSync(file, "again");
  await hintsOf(t, engine, ["/outside/one.conf", "created"]);
  const strangers = engine.collected.hints.filter(
    (hint) => hint.kind === "path" && hint.path !== "/outside/one.conf",
  );
  t.deepEqual(strangers, []);
});

whenPermitted("a directory above the rule's own can be put aside and brought back", async (t) => {
  await using engine = await started({
    index: indexOf("/outside/a/b"),
    populate: (root) => fs.mkdirSync(join(root, "outside/a/b"), { recursive: true }),
  });
  fs.renameSync(join(engine.outside, "a"), join(engine.outside, "aside"));
  await hintsOf(t, engine, ["/outside/a", "renamed"]);
  fs.writeFileSync(join(engine.outside, "aside/b/meanwhile"), "x");
  fs.renameSync(join(engine.outside, "aside"), join(engine.outside, "a"));
  t.true(await engine.collected.has(isTreeOver("/outside/a/b/meanwhile")));
  fs.writeFileSync(join(engine.outside, "a/b/later"), "x");
  await hintsOf(t, engine, ["/outside/a/b/later", "closed"]);
});

whenPermitted("a directory that was moved out of sight is silent", async (t) => {
  await using engine = await started({
    populate: (root) => fs.mkdirSync(join(root, "watched/dir")),
  });
  fs.renameSync(join(engine.watched, "dir"), join(engine.outside, "dir"));
  await hintsOf(t, engine, ["/watched/dir", "renamed"]);
  fs.writeFileSync(join(engine.outside, "dir/unseen"), "x");
  fs.writeFileSync(join(engine.watched, "seen"), "x");
  await hintsOf(t, engine, ["/watched/seen", "closed"]);
  t.false(engine.collected.hints.some((hint) => hint.kind === "path" && /unseen/.test(hint.path)));
});

whenPermitted("a directory on the way may be a symbolic link", async (t) => {
  await using engine = await started({
    index: indexOf("/link/in"),
    populate(root) {
      fs.mkdirSync(join(root, "outside/in"));
      fs.symlinkSync("/outside", join(root, "link"));
    },
  });
  fs.writeFileSync(join(engine.outside, "in/fresh"), "x");
  await hintsOf(t, engine, ["/link/in/fresh", "closed"]);
});

whenPermitted("a link on the way that leads elsewhere now is followed there", async (t) => {
  for (const turn of ["renamed over", "removed and made"] as const) {
    await using engine = await started({
      index: indexOf("/link/in"),
      populate(root) {
        fs.mkdirSync(join(root, "watched/in"));
        fs.mkdirSync(join(root, "outside/in"));
        fs.symlinkSync("watched", join(root, "link"));
      },
    });
    const link = join(engine.root, "link");
    if (turn === "renamed over") {
      fs.symlinkSync("outside", `${link}.new`);
      fs.renameSync(`${link}.new`, link);
    } else {
      fs.unlinkSync(link);
      fs.symlinkSync("outside", link);
    }
    t.true(await engine.collected.has(isTreeOver("/link/in")), turn);
    fs.writeFileSync(join(engine.outside, "in/fresh"), "x");
    await hintsOf(t, engine, ["/link/in/fresh", "closed"]);
  }
});

whenPermitted(
  "within a node's root an absolute link leads to what the node has there",
  async (t) => {
    await using engine = await started({
      index: indexOf("/outside/link/in"),
      within: "/outside",
      populate(root) {
        fs.mkdirSync(join(root, "outside/real/in"), { recursive: true });
        fs.symlinkSync("/real", join(root, "outside/link"));
      },
    });
    fs.writeFileSync(join(engine.outside, "real/in/fresh"), "x");
    await hintsOf(t, engine, ["/outside/link/in/fresh", "closed"]);
  },
);

whenPermitted(
  "a directory that was asked for is watched although no rule leads there",
  async (t) => {
    await using engine = await started({
      directories: ["/outside/probe"],
      populate: (root) => fs.mkdirSync(join(root, "outside/probe")),
    });
    fs.mkdirSync(join(engine.outside, "probe/tree"));
    t.true(await engine.collected.has(isTreeOver("/outside/probe/tree")));
    fs.writeFileSync(join(engine.outside, "probe/tree/file"), "x");
    await hintsOf(t, engine, ["/outside/probe/tree/file", "closed"]);
  },
);

whenPermitted("what is mounted over a watched directory is watched when it is added", async (t) => {
  await using engine = await started();
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", engine.watched]);
  try {
    engine.engine.add("/watched");
    fs.writeFileSync(join(engine.watched, "above"), "x");
    await hintsOf(t, engine, ["/watched/above", "closed"]);
  } finally {
    execFileSync("umount", [engine.watched]);
  }
  fs.writeFileSync(join(engine.watched, "below"), "x");
  await hintsOf(t, engine, ["/watched/below", "closed"]);
});

whenPermitted("what is mounted over a watched file is watched when it is added", async (t) => {
  await using engine = await started({
    populate(root) {
      fs.writeFileSync(join(root, "watched/file"), "x");
      fs.writeFileSync(join(root, "outside/other"), "x");
    },
  });
  const file = join(engine.watched, "file");
  execFileSync("mount", ["--bind", join(engine.outside, "other"), file]);
  try {
    engine.engine.add("/watched/file");
    fs.appendFileSync(join(engine.outside, "other"), "y");
    const hints = await hintsOf(t, engine, ["/watched/file", "closed"]);
    t.is(hints.at(-1)?.through, "/outside/other");
  } finally {
    execFileSync("umount", [file]);
  }
  fs.chmodSync(file, 0o600);
  await hintsOf(t, engine, ["/watched/file", "attributes"]);
});

whenPermitted("a directory on a filesystem without handles is reported as unwatched", async (t) => {
  await using engine = await started({ index: indexOf("/proc-like"), populate: mountBinder });
  try {
    t.true(await engine.collected.has(isUnwatched("/proc-like/fd")));
  } finally {
    execFileSync("umount", [join(engine.root, "proc-like/fd")]);
  }
});

/** /proc has no file handles. */
function mountBinder(root: string): void {
  fs.mkdirSync(join(root, "proc-like/fd"), { recursive: true });
  execFileSync("mount", ["--bind", "/proc/self", join(root, "proc-like/fd")]);
}

whenPermitted("each of 25,000 changes of mode is seen", async (t) => {
  const names = Array.from({ length: 25_000 }, (_, index) => `f${index}`);
  await using engine = await started({
    populate(root) {
      for (const name of names) fs.writeFileSync(join(root, "watched", name), "");
    },
  });
  t.true(engine.engine.watched() >= names.length);
  await run("chmod", ["-R", "600", engine.watched]);
  await hintsOf(t, engine, ["/watched", "attributes"]);
  const isMissing = (found: ReadonlySet<string>) =>
    names.filter((name) => !found.has(`/watched/${name}`)).length;
  const found = () =>
    new Set(engine.collected.hints.flatMap((hint) => (hint.kind === "path" ? [hint.path] : [])));
  // The directory's own is one more.
  await until(() => engine.collected.hints.length > names.length);
  t.is(isMissing(found()), 0);
});

whenPermitted("replacing a file again and again does not pile up inodes", async (t) => {
  await using engine = await started({
    populate: (root) => fs.writeFileSync(join(root, "watched/file"), "x"),
  });
  const before = engine.engine.watched();
  for (let round = 0; round < 50; round += 1) {
    fs.writeFileSync(join(engine.watched, "fresh"), `${round}`);
    fs.renameSync(join(engine.watched, "fresh"), join(engine.watched, "file"));
  }
  fs.writeFileSync(join(engine.watched, "last"), "x");
  await hintsOf(t, engine, ["/watched/last", "closed"]);
  t.is(engine.engine.watched(), before + 1);
});

whenPermitted("everything is given back when the signal aborts", async (t) => {
  {
    await using _ = await started();
  }
  const before = countDescriptors();
  for (let round = 0; round < 3; round += 1) {
    await using engine = await started();
    fs.writeFileSync(join(engine.watched, "x"), "x");
    await hintsOf(t, engine, ["/watched/x", "closed"]);
  }
  t.true(countDescriptors() <= before);
});

withHistory("300 processes that live for a moment are all named", async (t) => {
  using attribution = Attribution.open({ root: "/" });
  await using engine = await started({
    describe: attribution.describe.bind(attribution),
    populate: (root) => fs.writeFileSync(join(root, "watched/file"), "x"),
  });
  const script = 'for i in $(seq 300); do chmod 6$((i % 8))0 "$1"; done; : > "$2"';
  await run("bash", [
    "-c",
    script,
    "loop",
    join(engine.watched, "file"),
    join(engine.watched, "end"),
  ]);
  await hintsOf(t, engine, ["/watched/end", "closed"]);
  const hints = await hintsOf(t, engine, ["/watched/file", "attributes"]);
  t.true(hints.length >= 250, `${hints.length} hints`);
  const unnamed = hints.filter(
    ({ actor }) => actor?.comm !== "chmod" || actor.exe !== realpath("chmod") || actor.uid !== 0,
  );
  t.deepEqual(unnamed, []);
  t.true(hints.every(({ actor }) => actor?.ancestry?.[0] === "bash"));
  t.true(hints.every(({ actor }) => actor?.cmdline?.[2] === join(engine.watched, "file")));
});

withHistory("children that fork and never execute anything are named", async (t) => {
  using attribution = Attribution.open({ root: "/" });
  await using engine = await started({
    describe: attribution.describe.bind(attribution),
    populate: (root) => fs.writeFileSync(join(root, "watched/file"), "x"),
  });
  const code = [
    "import os,sys",
    "for i in range(100):",
    "  p=os.fork()",
    "  if p==0:",
    "    os.chmod(sys.argv[1],0o600+i%8)",
    "    os._exit(0)",
    "  os.waitpid(p,0)",
    "open(sys.argv[2],'w').close()",
  ].join("\n");
  await run("python3", ["-c", code, join(engine.watched, "file"), join(engine.watched, "end")]);
  await hintsOf(t, engine, ["/watched/end", "closed"]);
  const hints = await hintsOf(t, engine, ["/watched/file", "attributes"]);
  t.true(hints.length > 50);
  t.deepEqual(
    hints.filter(
      ({ actor }) => !/python/.test(actor?.exe ?? "") || !/python/.test(actor?.ancestry?.[0] ?? ""),
    ),
    [],
  );
});

whenPermitted(
  "a program whose word counts is known again when another file has its name",
  async (t) => {
    let program = { dev: "", ino: "" };
    await using engine = await started({
      populate: (root) => fs.writeFileSync(join(root, "outside/tool"), "x"),
      programs: ["/outside/tool"],
      programsEvery: 10,
      describe: (pid) => ({ pid, exe: "/outside/tool", executable: program, executedAt: Infinity }),
    });
    const tool = join(engine.outside, "tool");
    for (const turn of ["as it was", "replaced"]) {
      if (turn === "replaced") {
        fs.writeFileSync(`${tool}.new`, "y");
        fs.renameSync(`${tool}.new`, tool);
      }
      const { dev, ino } = fs.statSync(tool, { bigint: true });
      program = { dev: `${(dev >> 8n) & 0xfffn}:${dev & 0xffn}`, ino: `${ino}` };
      let times = 0;
      const isUnnamed = await until(async () => {
        const path = `/watched/${turn} ${(times += 1)}`;
        fs.writeFileSync(join(engine.root, path), "x");
        const [hint] = await hintsOf(t, engine, [path, "closed"]);
        return hint?.actor !== undefined && hint.actor.exe === undefined;
      });
      t.true(isUnnamed, turn);
    }
  },
);

whenPermitted("a process in PID and mount namespaces of its own is named", async (t) => {
  using attribution = Attribution.open({ root: "/" });
  await using engine = await started({ describe: attribution.describe.bind(attribution) });
  const file = join(engine.watched, "from-inside");
  // It lives until the test has seen it, so that this holds without the exec history too.
  const child = run("unshare", [
    "--pid",
    "--mount",
    "--fork",
    "bash",
    "-c",
    'echo $$ > "$1"; read -r _',
    "x",
    file,
  ]);
  const [hint] = await hintsOf(t, engine, ["/watched/from-inside", "closed"]);
  child.child.stdin?.end("\n");
  await child.catch(() => undefined);
  t.is(readFileSync(file, "utf8").trim(), "1");
  t.is(hint?.actor?.comm, "bash");
  t.true((hint?.actor?.pid ?? 0) > 1);
  t.is(hint?.actor?.ancestry?.[0], "unshare");
});

test("without the right to it the engine is refused with its reason", (t) => {
  const code = [
    `import { fanotifyEngine } from ${JSON.stringify(join(import.meta.dirname, "../../../src/watch/fanotify/engine.ts"))};`,
    "process.setuid?.(65534);",
    "const index = { roots: [], find: () => undefined, mayMatchBelow: () => false };",
    "const options = { root: '/', index, directories: () => [], signal: new AbortController().signal, now: Date.now };",
    "try { fanotifyEngine()(options); } catch (error) { process.stdout.write(`${error.code} ${error.message}`); }",
  ].join("\n");
  const text = execFileSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
  });
  t.is(text, "ENGINE_FAILED fanotify: fanotify_init: EPERM");
});

function realpath(command: string): string {
  return execFileSync("sh", ["-c", `command -v ${command}`], { encoding: "utf8" }).trim();
}
