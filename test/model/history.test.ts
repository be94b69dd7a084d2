import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { chainOf, inShort } from "../helpers/node.ts";
import type { Alert } from "../helpers/node.ts";
import { fanotifyMissing, outputOf } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import { until } from "../helpers/wait.ts";

/*
 * Random operations at full speed. Replaying the alerts onto the tree of the baseline gives the tree as it is
 * (contract, "The chain is a history"). The reader and the replay here are independent of the agent's code.
 */

const seeds = (process.env["FIM_SEEDS"] ?? "1 2 3").split(" ").map(Number);
const operations = Number(process.env["FIM_OPERATIONS"] ?? 700);

interface Facts {
  readonly type: string;
  readonly mode?: string;
  readonly uid: number;
  readonly gid: number;
  readonly inode: string;
  readonly sha256?: string;
  readonly target?: string;
}

type Tree = ReadonlyMap<string, Facts>;

/** A path's bytes, one character each: names need not be UTF-8. */
const bytesOf = (text: string): string => Buffer.from(text).toString("latin1");

const fileOf = (root: string, path: string): Buffer =>
  Buffer.concat([Buffer.from(root), Buffer.from(path, "latin1")]);

const shown = (text: string, base64: string | undefined): string =>
  base64 === undefined ? bytesOf(text) : Buffer.from(base64, "base64").toString("latin1");

/** The tree as the filesystem shows it, by the bytes of the node's paths. */
function readTree(root: string, dir: string, tree = new Map<string, Facts>()): Tree {
  const file = fileOf(root, dir);
  const stat = lstatSync(file, { bigint: true });
  const type = stat.isDirectory() ? "directory" : stat.isSymbolicLink() ? "symlink" : "file";
  tree.set(dir, {
    type,
    ...(type !== "symlink" && { mode: (Number(stat.mode) & 0o7777).toString(8).padStart(4, "0") }),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    inode: String(stat.ino),
    ...(type === "file" && {
      sha256: createHash("sha256").update(readFileSync(file)).digest("hex"),
    }),
    ...(type === "symlink" && { target: readlinkSync(file, { encoding: "latin1" }) }),
  });
  if (type === "directory")
    for (const name of readdirSync(file, { encoding: "latin1" }))
      readTree(root, `${dir}/${name}`, tree);
  return tree;
}

function factsOf({
  type,
  mode,
  uid,
  gid,
  inode,
  sha256,
  target,
  targetBase64,
}: NonNullable<Alert["after"]>): Facts {
  return {
    type,
    ...(type !== "symlink" && { mode }),
    uid,
    gid,
    inode,
    ...(sha256 && { sha256 }),
    ...(target && { target: shown(target, targetBase64) }),
  };
}

const isBelow = (path: string, dir: string): boolean => path.startsWith(`${dir}/`);

function takeTree(tree: Map<string, Facts>, from: string): ReadonlyMap<string, Facts> {
  const taken = new Map([...tree].filter(([path]) => path === from || isBelow(path, from)));
  for (const path of taken.keys()) tree.delete(path);
  return new Map([...taken].map(([path, facts]) => [path.slice(from.length), facts]));
}

const putTree = (tree: Map<string, Facts>, to: string, taken: ReadonlyMap<string, Facts>): void =>
  taken.forEach((facts, suffix) => tree.set(to + suffix, facts));

/** The alert with the bytes of its names. */
function namesOf({ path, pathBase64, from, fromBase64 }: Alert) {
  return {
    path: shown(path, pathBase64),
    ...(from !== undefined && { from: shown(from, fromBase64) }),
  };
}

function replay(first: Tree, alerts: readonly Alert[]): Tree {
  const tree = new Map(first);
  for (let at = 0; at < alerts.length; at += 1) {
    const alert = alerts[at];
    if (!alert) break;
    const { change, after } = alert;
    const { path, from } = namesOf(alert);
    const next = alerts[at + 1];
    const mirror = next && namesOf(next);
    if (change === "deleted") tree.delete(path);
    if (change === "renamed" && from !== undefined) {
      const isExchange =
        next?.change === "renamed" && mirror?.path === from && mirror.from === path;
      const moved = takeTree(tree, from);
      const other = takeTree(tree, path);
      putTree(tree, path, moved);
      if (isExchange) {
        putTree(tree, from, other);
        if (next?.after) tree.set(from, factsOf(next.after));
        at += 1;
      }
    }
    if (["created", "modified", "renamed"].includes(change) && after)
      tree.set(path, factsOf(after));
  }
  return tree;
}

function differences(replayed: Tree, real: Tree): readonly string[] {
  return [...new Set([...replayed.keys(), ...real.keys()])].flatMap((path) => {
    const [is, due] = [JSON.stringify(replayed.get(path)), JSON.stringify(real.get(path))];
    return is === due ? [] : [`${path}: replayed ${is}, real ${due}`];
  });
}

for (const seed of seeds)
  needing(fanotifyMissing ?? missingProgram("python3"), "serial")(
    `the alerts of ${operations} random operations, replayed in order, give the tree as it is (seed ${seed})`,
    async (t) => {
      t.timeout(300_000);
      await using node = await startNode({
        rules: [{ id: "w", paths: ["/w/**"], severity: "high" }],
        prepare: ({ at, write }) => {
          mkdirSync(at("/w/d/b"), { recursive: true });
          for (const name of ["a", "b", "d/a", "d/b/c"]) write(`/w/${name}`, `${name}\n`);
        },
        // What counts is in the chain.
        minSeverity: "critical",
      });
      const first = readTree(node.root, "/w");
      const script = join(import.meta.dirname, "operations.py");
      await outputOf(spawn("python3", [script, node.at("/w"), String(seed), String(operations)]));
      const real = readTree(node.root, "/w");
      node.write("/w/zz-end", "end\n");
      await until(() => chainOf(node.state).some(({ path }) => path === "/w/zz-end"), 120_000);
      const isKept = (): boolean => {
        const kept = node.current();
        return [...real].every(([path, { inode }]) => {
          const name = Buffer.from(path, "latin1").toString();
          return name.includes("\ufffd") || kept.get(name)?.ino === inode;
        });
      };
      await until(isKept, 30_000).catch(() => undefined);
      const alerts = chainOf(node.state).filter(({ path }) => path !== "/w/zz-end");
      t.is(await node.watching.stop(), 0);
      const wrong = differences(replay(first, alerts), real);
      t.log(`${alerts.length} alerts, ${real.size} paths, ${wrong.length} wrong`);
      const unnamed = alerts.filter(({ actor }) => actor === undefined);
      t.deepEqual(wrong, []);
      t.log(`${unnamed.length} without a process: ${inShort(unnamed).slice(0, 5).join(", ")}`);
      t.true(unnamed.length <= alerts.length / 20);
    },
  );
