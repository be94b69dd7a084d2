import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { until } from "../helpers/wait.ts";
import { inShort } from "../helpers/node.ts";
import type { Alert } from "../helpers/node.ts";
import { fanotifyMissing, programOf } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { needing } from "../helpers/needs.ts";

const python = programOf("python3");
const missing = fanotifyMissing ?? (python === undefined ? "needs python3" : undefined);
const possible = needing(missing, "serial");

const watched = "/etc/kubernetes";
const marker = `${watched}/zz-marker`;

/** What a script of one case can use; its files are `a`, `b`, … in its directory, and `outside` is not watched. */
const prelude = `
import ctypes, os, sys
os.chdir(sys.argv[1]); outside = sys.argv[2]
def put(name, text):
  with open(name, "w") as file: file.write(text)
def exchange(one, two):
  assert ctypes.CDLL(None).renameat2(-100, one.encode(), -100, two.encode(), 2) == 0
`;

interface Case {
  readonly title: string;
  /** Of these names, each with a content of its own. */
  readonly known: readonly string[];
  readonly script: string;
  /** What has to be reported, by name; nothing else may be. */
  readonly reported: Readonly<Record<string, Partial<Omit<Alert, "from" | "via">> & Names>>;
}

/** Names in the case's own directory. */
interface Names {
  readonly from?: string;
  readonly via?: string;
}

const cases: readonly Case[] = [
  {
    title: "created and deleted",
    known: [],
    script: 'put("a", "evil"); os.unlink("a")',
    reported: { a: { change: "transient", steps: ["created", "modified", "deleted"] } },
  },
  {
    title: "created and deleted without a byte in it",
    known: [],
    script: 'os.mknod("a"); os.unlink("a")',
    reported: { a: { change: "transient", steps: ["created", "deleted"] } },
  },
  {
    title: "changed and put back, its time too",
    known: ["a"],
    script:
      'old = os.stat("a"); put("a", "evil"); put("a", "content of a"); os.utime("a", ns=(old.st_atime_ns, old.st_mtime_ns))',
    reported: { a: { change: "transient", severity: "high" } },
  },
  {
    title: "given another mode and the old one again",
    known: ["a"],
    script: 'os.chmod("a", 0o777); os.chmod("a", 0o644)',
    reported: { a: { change: "transient", steps: ["attributes"], severity: "low" } },
  },
  {
    title: "renamed twice",
    known: ["a"],
    script: 'os.rename("a", "b"); os.rename("b", "c")',
    reported: { c: { change: "renamed", from: "a" } },
  },
  {
    title: "renamed and back again",
    known: ["a"],
    script: 'os.rename("a", "b"); os.rename("b", "a")',
    reported: { a: { change: "transient", steps: ["renamed"] } },
  },
  {
    title: "moved in from where nothing is watched, and deleted",
    known: [],
    script: 'put(outside + "/x", "evil"); os.rename(outside + "/x", "a"); os.unlink("a")',
    reported: { a: { change: "transient", steps: ["renamed", "deleted"] } },
  },
  {
    title: "moved in from where nothing is watched, and out again",
    known: [],
    script:
      'put(outside + "/x", "evil"); os.rename(outside + "/x", "a"); os.rename("a", outside + "/x")',
    reported: { a: { change: "transient", steps: ["renamed"] } },
  },
  {
    title: "created under one name and deleted under another",
    known: [],
    script: 'put("a", "evil"); os.rename("a", "b"); os.unlink("b")',
    reported: {
      a: { change: "transient", steps: ["created", "modified", "renamed"] },
      b: { change: "transient", steps: ["renamed", "deleted"] },
    },
  },
  {
    title: "written and removed while their directory had another name",
    known: ["d/a", "d/b"],
    script:
      'os.rename("d", "e"); put("e/a", "evil"); os.unlink("e/b"); put("e/c", "new"); os.rename("e", "d")',
    reported: {
      d: { change: "transient", steps: ["renamed"] },
      "d/a": { change: "modified", fields: ["content"] },
      "d/b": { change: "deleted" },
      "d/c": { change: "created" },
    },
  },
  {
    title: "exchanged with another",
    known: ["a", "b"],
    script: 'exchange("a", "b")',
    reported: {
      a: { change: "renamed", from: "b", fields: ["content", "inode"] },
      b: { change: "renamed", from: "a", fields: ["content", "inode"] },
    },
  },
  {
    title: "exchanged and exchanged back",
    known: ["a", "b"],
    script: 'exchange("a", "b"); exchange("b", "a")',
    reported: {
      a: { change: "transient", steps: ["renamed"] },
      b: { change: "transient", steps: ["renamed"] },
    },
  },
  {
    title: "replaced twice",
    known: ["a"],
    script:
      'put(".a.1", "first"); os.rename(".a.1", "a"); put(".a.2", "second"); os.rename(".a.2", "a")',
    reported: { a: { change: "modified", fields: ["content", "inode"], via: ".a.2" } },
  },
  {
    title: "made beside its place by way of two temporary names",
    known: [],
    script: 'put(".1", "new"); os.rename(".1", ".2"); os.rename(".2", "a")',
    reported: { a: { change: "created" } },
  },
  {
    title: "deleted and made again as it was",
    known: ["a"],
    script: 'os.unlink("a"); put("a", "content of a")',
    reported: { a: { change: "modified", fields: ["inode"], severity: "low" } },
  },
];

const dirOf = (at: number): string => `${watched}/case-${at}`;

possible(
  `what is over before anyone can look is reported as the kernel reported it, and what is left is known`,
  async (t) => {
    await using node = await startNode({
      rules: [{ id: "watched", paths: [`${watched}/**`], severity: "high" }],
      prepare: (ground) => {
        mkdirSync(ground.at("/outside"), { recursive: true });
        ground.write(marker, "");
        for (const [at, { known }] of cases.entries()) {
          mkdirSync(ground.at(dirOf(at)), { recursive: true });
          for (const name of known) ground.write(`${dirOf(at)}/${name}`, `content of ${name}`);
        }
      },
    });
    for (const [at, { title, script, reported }] of cases.entries()) {
      const before = node.alerts().length;
      const dir = dirOf(at);
      await whileStopped(node, () =>
        execFileSync(python ?? "", ["-c", prelude + script, node.at(dir), node.at("/outside")]),
      );
      for (const name of Object.keys(reported))
        await node
          .alerted(({ path }) => path === `${dir}/${name}`, before)
          .catch((cause: unknown) => {
            throw new Error(`${title}: ${name} is not reported`, { cause });
          });
      writeFileSync(node.at(marker), title);
      await node.alerted(({ path }) => path === marker, before);
      const alerts = node
        .alerts()
        .slice(before)
        .filter(({ path }) => path !== marker && path !== dir);
      t.deepEqual(
        alerts.map(({ path }) => path).toSorted(),
        Object.keys(reported)
          .map((name) => `${dir}/${name}`)
          .toSorted(),
        `${title}: ${inShort(alerts).join("; ")}`,
      );
      for (const [name, { from, via, ...expected }] of Object.entries(reported)) {
        const alert = alerts.find(({ path }) => path === `${dir}/${name}`);
        t.like(
          alert,
          {
            ...expected,
            engine: "fanotify",
            verdict: "unexpected",
            from: from === undefined ? undefined : `${dir}/${from}`,
            via: via === undefined ? undefined : `${dir}/${via}`,
          },
          `${title}: ${inShort(alerts).join("; ")}`,
        );
        t.is(alert?.actor?.exe, python, title);
      }
    }
    const current = node.current();
    const present = cases.flatMap((_, at) =>
      ["a", "b", "c", "d/a", "d/b", "d/c"]
        .map((name) => `${dirOf(at)}/${name}`)
        .filter((path) => isThere(node, path)),
    );
    for (const path of present) {
      const known = current.get(path);
      t.is(known?.sha256, sha256(node.at(path)), path);
      t.is(known?.ino, String(lstatSync(node.at(path)).ino), path);
    }
    const files = [...current].filter(([path, { type }]) => type === "file" && path !== marker);
    t.deepEqual(files.map(([path]) => path).toSorted(), present.toSorted());
    t.is(await node.watching.stop(), 0);
  },
);

const isThere = (node: RunningNode, path: string): boolean => existsSync(node.at(path));

const sha256 = (file: string): string =>
  createHash("sha256").update(readFileSync(file)).digest("hex");

/** No process looks between two steps: what the agent is reported of them waits in the kernel. */
async function whileStopped({ watching }: RunningNode, play: () => void): Promise<void> {
  process.kill(watching.pid, "SIGSTOP");
  try {
    await until(() => /^State:\tT/m.test(readFileSync(`/proc/${watching.pid}/status`, "utf8")));
    play();
  } finally {
    process.kill(watching.pid, "SIGCONT");
  }
}
