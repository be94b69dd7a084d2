import { execFileSync, spawn } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  statfsSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Attribution } from "../../src/attribute/attribute.ts";
import { fanotifyEngine } from "../../src/watch/fanotify/engine.ts";
import { chainOf, inShort } from "../helpers/node.ts";
import type { Alert, Ground } from "../helpers/node.ts";
import { busyLoops, fanotifyMissing, outputOf, programOf } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { until } from "../helpers/wait.ts";
import { ruleWith } from "../helpers/rule.ts";

const possible = needing(fanotifyMissing, "serial");

const each = 334;

/** One way in which a process that lives for a moment changes a file of its own: "<number> <pid>" is its word. */
interface Kind {
  readonly name: string;
  /** Undefined: the tool is missing here. */
  readonly command: (dir: string, ground: Ground) => readonly string[] | undefined;
  /** What its processes may be called: of a script, the interpreter or what it interprets. */
  readonly exe: (ground: Ground) => readonly (string | undefined)[];
  readonly uid?: number;
}

const chmod = programOf("chmod");
const python = programOf("python3");
const user = 1000;

const forking = `
import os, sys
for i in range(${each}):
  pid = os.fork()
  if pid == 0:
    os.chmod(f"{sys.argv[1]}/{i}", 0o600)
    os._exit(0)
  os.waitpid(pid, 0)
  print(i, pid)
`;

/** The node's own /proc is still there and reports the node's pid, whatever the namespace. */
const ownPid = "read -r pid _ < /proc/self/stat";

const kinds: readonly Kind[] = [
  {
    name: "a program",
    command: (dir) => ["bash", "-c", loop('chmod 600 "$0/$i" & echo "$i $!"; wait'), dir],
    exe: () => [chmod],
  },
  {
    name: "a fork without an exec",
    command: (dir) => (python === undefined ? undefined : [python, "-c", forking, dir]),
    exe: () => [python],
  },
  {
    name: "a script",
    command: (dir, ground) => {
      const script = join(ground.dir, "script.sh");
      writeFileSync(script, '#!/bin/sh\necho changed > "$1"\n', { mode: 0o755 });
      return ["bash", "-c", loop('"$1" "$0/$i" & echo "$i $!"; wait'), dir, script];
    },
    exe: (ground) => [programOf("sh"), join(ground.dir, "script.sh")],
  },
  {
    name: "a static binary",
    command: (dir, ground) => {
      const binary = compileStatic(ground.dir);
      return binary === undefined
        ? undefined
        : ["bash", "-c", loop('"$1" "$0/$i" & echo "$i $!"; wait'), dir, binary];
    },
    exe: (ground) => [join(ground.dir, "static")],
  },
  {
    name: "a process of another user in namespaces of its own",
    command: (dir) => {
      const asUser = `setpriv --reuid ${user} --regid ${user} --clear-groups`;
      const inside = "unshare --fork --pid --mount --user --map-root-user";
      const body = loop(`(${ownPid}; echo "$i $pid"; exec chmod 600 "$0/$i")`);
      return [...asUser.split(" "), ...inside.split(" "), "bash", "-c", body, dir];
    },
    exe: () => [chmod],
    uid: user,
  },
  {
    name: "a process that comes through a bind mount",
    command: (dir, ground) => {
      const other = join(ground.dir, "bound");
      mkdirSync(other, { recursive: true });
      const body = loop('chmod 600 "$1/$i" & echo "$i $!"; wait');
      return ["unshare", "--mount", "bash", "-c", `mount --bind "$0" "$1" && ${body}`, dir, other];
    },
    exe: () => [chmod],
  },
];

function loop(body: string): string {
  return `for ((i = 0; i < ${each}; i++)); do ${body}; done`;
}

function compileStatic(dir: string): string | undefined {
  const [source, binary] = [join(dir, "static.c"), join(dir, "static")];
  const code = `#include <sys/stat.h>\nint main(int n, char **a) { return chmod(a[n - 1], 0600); }\n`;
  writeFileSync(source, code);
  try {
    execFileSync("gcc", ["-static", "-o", binary, source], { stdio: "ignore" });
    return binary;
  } catch {
    return undefined;
  }
}

const dirOf = ({ name }: Kind): string => `/watched/${name.replaceAll(" ", "-")}`;

possible(
  `each of 2,000 processes that live for a moment is named, and rightly, while the machine is overloaded`,
  async (t) => {
    await using node = await startNode({
      rules: [{ id: "watched", paths: ["/watched/**"], severity: "high" }],
      prepare: (ground) => {
        for (const kind of kinds) {
          for (let i = 0; i < each; i += 1) ground.write(`${dirOf(kind)}/${i}`, "as it was\n");
          for (let i = 0; i < each; i += 1)
            if (kind.uid !== undefined)
              chownSync(ground.at(`${dirOf(kind)}/${i}`), kind.uid, kind.uid);
        }
        // Others than root must get to their files.
        for (const dir of [ground.dir, ground.at("/")]) chmodSync(dir, 0o755);
      },
    });
    await using byProc = watchByProc(node.at("/watched"));
    const truth = new Map<string, { readonly kind: Kind; readonly pid: number }>();
    {
      using _ = busyLoops(4);
      await Promise.all(
        kinds.map(async (kind) => {
          const command = kind.command(node.at(dirOf(kind)), node);
          if (!command) {
            t.log(`not tested: ${kind.name}`);
            return;
          }
          const [program = "", ...args] = command;
          const said = await outputOf(spawn(program, args, { cwd: "/" }));
          for (const line of said.trim().split("\n")) {
            const [number, pid] = line.split(" ");
            truth.set(`${dirOf(kind)}/${number}`, { kind, pid: Number(pid) });
          }
        }),
      );
    }
    t.true(truth.size >= 4 * each);
    await node.receiver.until((all) => all.length > truth.size, 120_000);
    const byPath = () => new Map(node.alerts().map((alert) => [alert.path, alert]));
    // What is missing after that is listed.
    const isTold = () => {
      const paths = byPath();
      return [...truth.keys()].every((path) => paths.has(path));
    };
    await until(isTold, 30_000).catch(() => undefined);
    const reported = byPath();
    const wrong = [...truth].flatMap(([path, { kind, pid }]) => {
      const fault = faultOf(reported.get(path), { pid, uid: kind.uid ?? 0, exe: kind.exe(node) });
      return fault === undefined ? [] : [`${path}: ${fault}`];
    });
    t.is(wrong.length, 0, wrong.slice(0, 20).join("\n"));
    const named = [...truth.keys()].filter((path) =>
      byProc.named.has(path.slice("/watched".length)),
    );
    t.log(`${truth.size} processes, all named; by /proc alone ${named.length}`);
  },
);

const linked = "/watched/linked";

/** What is done by another name of a watched file, and what has to be reported of the watched one. */
const byOtherName: readonly (readonly [
  title: string,
  link: string,
  command: string,
  field: string,
])[] = [
  ["a write", "/outside/hard", 'echo more >> "$1"', "content"],
  ["a change of mode", "/outside/hard", 'chmod 640 "$1"', "mode"],
  ["a write by a name that is watched too", "/watched/other", 'echo more >> "$1"', "content"],
];

possible(`what is done to a file by another of its names is reported with that name`, async (t) => {
  await using node = await startNode({
    rules: [{ id: "watched", paths: ["/watched/**"], severity: "high" }],
    prepare: (ground) => {
      ground.write(linked, "as it was\n");
      mkdirSync(ground.at("/outside"));
      for (const link of new Set(byOtherName.map(([, name]) => name)))
        linkSync(ground.at(linked), ground.at(link));
    },
  });
  for (const [title, link, command, field] of byOtherName) {
    const before = node.alerts().length;
    execFileSync("sh", ["-ec", command, "sh", node.at(link)]);
    const alert = await node.alerted(({ path }) => path === linked, before);
    t.deepEqual(alert.fields, [field], title);
    t.deepEqual(alert.meaning, [`changed through its other name ${link}`], title);
  }
  const before = node.alerts().length;
  appendFileSync(node.at(linked), "by its own name");
  const own = await node.alerted(({ path }) => path === linked, before);
  t.deepEqual(own.meaning, []);
  const messages = node.receiver.accepted().map(({ data }) => String(data["message"]));
  t.true(messages.some((text) => text.includes("; changed through its other name /outside/hard")));
  t.is(await node.watching.stop(), 0);
});

/** Writes, and leaves it to another to close the file: as who reads /proc/PID/fd does, if it is the last to let go. */
const handingOver = `
exec 3>> "$1"
{ read -r _ <&4; exec 3>&-; } 4< "$2" &
echo written >&3
exec 3>&-
echo > "$2"
wait
echo $$
`;

possible(`who wrote is named, not who was the last to close the file`, async (t) => {
  await using node = await startNode({
    rules: [{ id: "watched", paths: ["/watched/**"], severity: "high" }],
    prepare: (ground) => ground.write("/watched/file", "as it was\n"),
  });
  const fifo = join(node.dir, "fifo");
  execFileSync("mkfifo", [fifo]);
  const said = execFileSync("bash", ["-ec", handingOver, "bash", node.at("/watched/file"), fifo]);
  const { actor } = await node.alerted(({ path }) => path === "/watched/file");
  t.is(actor?.pid, Number(said.toString()));
  t.is(await node.watching.stop(), 0);
});

const made = `
import os, sys
os.makedirs(sys.argv[1] + "/a/b")
for name in ["a/one", "a/b/two", "a/b/three"]:
  open(sys.argv[1] + "/" + name, "w").write("x")
os.symlink("one", sys.argv[1] + "/a/link")
os.mkdir(sys.argv[1] + "/a/b/c")
for name in [b"line\\nfeed", b"bad-\\xff"]:
  open(sys.argv[1].encode() + b"/a/" + name, "w").write("x")
print(os.getpid())
`;
/** The second is one byte that is not UTF-8. */
const oddNames = ["a/line\nfeed", "a/bad-\ufffd"];
const ext4 = 0xef53;
const noExt4 =
  statfsSync(tmpdir()).type === ext4 ? undefined : "the temporary directory is not on ext4";
const possibleOnExt4 = needing(fanotifyMissing ?? missingProgram("python3") ?? noExt4, "serial");

possibleOnExt4(
  `what is made in a new directory before that can be watched is reported with its maker`,
  async (t) => {
    await using node = await startNode({
      rules: [{ id: "watched", paths: ["/watched/**"], severity: "high" }],
      prepare: (ground) => ground.write("/watched/file", "as it was\n"),
    });
    for (let round = 0; round < 10; round += 1) {
      const dir = `/watched/${round}`;
      const args = ["-c", made, node.at(dir)];
      const pid = Number(execFileSync(python ?? "", args, { encoding: "utf8" }));
      for (const name of [
        "a",
        "a/b",
        "a/one",
        "a/link",
        "a/b/two",
        "a/b/three",
        "a/b/c",
        ...oddNames,
      ]) {
        const { change, actor } = await node.alerted(({ path }) => path === `${dir}/${name}`);
        t.deepEqual([change, actor?.pid, actor?.exe], ["created", pid, python], name);
      }
    }
    t.is(await node.watching.stop(), 0);
  },
);

possibleOnExt4(
  "what is made in a new directory that no rule watches itself is reported with its maker",
  async (t) => {
    await using node = await startNode({
      rules: [{ id: "homes", paths: ["/home/*/.profile"], severity: "high" }],
      prepare: (ground) => ground.write("/home/old/.profile", "as it was\n"),
    });
    // As useradd -m does it.
    const program = "import os, sys; os.mkdir(sys.argv[1]); open(sys.argv[1] + '/.profile', 'w')";
    for (let round = 0; round < 10; round += 1) {
      const home = `/home/${round}`;
      execFileSync(python ?? "", ["-c", program, node.at(home)]);
      const { change, actor } = await node.alerted(({ path }) => path === `${home}/.profile`);
      t.deepEqual([change, actor?.exe], ["created", python]);
    }
  },
);

const many = 1200;

/** What is made gets the inodes of what was removed, so that who looks at the one, which was hinted first, is led to the other. */
const replaced = `
import os, sys
root = sys.argv[1]
for i in range(${many}):
  with open(f"{root}/new/{i}", "w") as file: pass
  os.remove(f"{root}/new/{i}")
for i in range(${many}):
  os.remove(f"{root}/old/{i}")
for i in range(${many}):
  with open(f"{root}/new/{i}", "w") as file: file.write(f"new {i}")
print(os.getpid())
`;

const possibleWithPython = needing(fanotifyMissing ?? missingProgram("python3"), "serial");

possibleWithPython(
  `of a burst of names that come and go each is reported once, with who did it`,
  async (t) => {
    await using node = await startNode({
      rules: [{ id: "watched", paths: ["/watched/**"], severity: "high" }],
      prepare: (ground) => {
        mkdirSync(ground.at("/watched/new"), { recursive: true });
        for (let i = 0; i < many; i += 1) ground.write(`/watched/old/${i}`, `old ${i}`);
      },
    });
    // All of it waits when the agent goes on, as it does where the node is overloaded.
    process.kill(node.watching.pid, "SIGSTOP");
    const said = execFileSync(python ?? "", ["-c", replaced, node.at("/watched")]);
    process.kill(node.watching.pid, "SIGCONT");
    await node.receiver.until(() => node.alerts().length >= 2 * many, 60_000);
    t.is(await node.watching.stop(), 0);
    const reported = chainOf(node.state);
    const names = reported.filter(({ change }) => change !== "modified").map(({ path }) => path);
    t.is(names.length, 2 * many);
    t.is(new Set(names).size, 2 * many);
    const unnamed = reported.filter(
      ({ engine, actor }) => engine !== "fanotify" || actor?.pid !== Number(said.toString()),
    );
    t.deepEqual(inShort(unnamed), []);
  },
);

interface Due {
  readonly pid: number;
  readonly uid: number;
  readonly exe: readonly (string | undefined)[];
}

function faultOf(alert: Alert | undefined, due: Due): string | undefined {
  if (!alert) return "not reported";
  const { actor } = alert;
  if (!actor) return "no process named";
  for (const name of ["pid", "uid"] as const)
    if (actor[name] !== due[name]) return `${name} is not ${due[name]}: ${JSON.stringify(actor)}`;
  if (!due.exe.includes(actor.exe))
    return `exe is not ${due.exe.join(" or ")}: ${JSON.stringify(actor)}`;
  return undefined;
}

/** The same events, named by what /proc knows at the moment at which they are read. */
function watchByProc(root: string): { readonly named: ReadonlySet<string> } & AsyncDisposable {
  const attribution = Attribution.open({ root: "/", best: "proc" });
  const stop = new AbortController();
  const everything = { rule: ruleWith(), glob: "**" };
  const named = new Set<string>();
  const engine = fanotifyEngine({
    describe: (pid, now) => attribution.describe(pid, now),
    isHurried: true,
  })({
    root,
    index: { roots: ["/"], find: () => everything, mayMatchBelow: () => true },
    directories: () => [],
    signal: stop.signal,
    now: Date.now,
    sink: (hint) => {
      if (hint.kind === "path" && hint.actor?.exe !== undefined) named.add(hint.path);
    },
  });
  return {
    named,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await engine.ended;
      attribution[Symbol.dispose]();
    },
  };
}
