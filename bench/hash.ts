import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { argv, stdout } from "node:process";
import type { Rule, RuleIndex } from "../src/core/policy/rule.ts";
import type { Item } from "../src/observe/hash/job.ts";

/*
 * Observing alone: the walk, the workers and the rows, without a database.
 *
 *   node --max-semi-space-size=1 --initial-old-space-size=8 --optimize-for-size bench/hash.ts [TREE…]
 *
 * Without arguments it makes two trees (1.26 GB like a kubeadm node, and 100,000 small files), each measured in a
 * process of its own, in turn with `find | xargs -P2 openssl dgst -sha256` over the same files. Build first: it
 * runs what is shipped, dist/, if that is there. Stripping types costs each thread some 15 MB, so the memory shown is
 * that much too high for the main thread, whose code is this file.
 */

const flags = ["--max-semi-space-size=1", "--initial-old-space-size=8", "--optimize-for-size"];
const trees = { node: "/tmp/fim-bench/node", small: "/tmp/fim-bench/small" };
const mebibyte = 1024 * 1024;
const rounds = 5;

const isBuilt = existsSync(new URL("../dist/observe/hash/pool.js", import.meta.url));

/** A module of src/observe, or its built form. */
function urlOf(name: string): string {
  const file = isBuilt ? `../dist/observe/${name}.js` : `../src/observe/${name}.ts`;
  return new URL(file, import.meta.url).href;
}

const { Observer } = (await import(
  urlOf("observer")
)) as typeof import("../src/observe/observer.ts");
const { HashPool } = (await import(
  urlOf("hash/pool")
)) as typeof import("../src/observe/hash/pool.ts");
const { walk } = (await import(urlOf("walk"))) as typeof import("../src/observe/walk.ts");

function fill(dir: string, files: Iterable<readonly [name: string, size: number]>): void {
  const noise = randomFillSync(Buffer.allocUnsafe(mebibyte));
  let number = 0;
  for (const [name, size] of files) {
    const path = `${dir}/${name}`;
    mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    noise.writeUInt32LE((number += 1));
    writeFileSync(path, noise.subarray(0, Math.min(size, mebibyte)));
    for (let at = mebibyte; at < size; at += mebibyte)
      writeFileSync(path, noise.subarray(0, Math.min(mebibyte, size - at)), { flag: "a" });
  }
}

function* nodeFiles(): Generator<readonly [string, number]> {
  const binaries = { kubelet: 80, kubeadm: 70, kubectl: 56, containerd: 40, crictl: 24, runc: 10 };
  for (const [name, size] of Object.entries(binaries)) yield [`usr/bin/${name}`, size * mebibyte];
  for (let at = 0; at < 20; at += 1) yield [`opt/cni/bin/plugin-${at}`, 4 * mebibyte];
  for (let at = 0; at < 10; at += 1) yield [`var/lib/etcd/member/wal/${at}.wal`, 64 * mebibyte];
  yield ["var/lib/etcd/member/snap/db", 200 * mebibyte];
  for (let at = 0; at < 1000; at += 1) yield [`etc/${at % 20}/${at}.conf`, 1024 + (at % 16) * 1000];
}

function* smallFiles(): Generator<readonly [string, number]> {
  for (let at = 0; at < 100_000; at += 1)
    yield [`${at % 500}/${at}`, 1024 + ((at * 7919) % (15 * 1024))];
}

const rule = { id: "bench/all" } as Rule;

function everything(root: string): RuleIndex {
  return { find: () => ({ rule, glob: "**" }), mayMatchBelow: () => true, roots: [root] };
}

async function observeTree(tree: string): Promise<void> {
  const started = performance.now();
  using observer = new Observer("/");
  using pool = new HashPool({ root: "/", workers: 2 });
  let rows = 0;
  let bytes = 0;
  const items = function* (): Generator<Item> {
    for (const found of walk(observer, everything(tree)))
      if (found.kind === "path") yield { path: found.path, want: { hash: true } };
  };
  await pool.observeAll(
    items(),
    (results) => {
      for (const { row } of results) rows += row === undefined ? 0 : 1;
    },
    { onProgress: (progress) => (bytes = progress.bytes) },
  );
  const seconds = (performance.now() - started) / 1000;
  const memory = process.resourceUsage().maxRSS / 1024;
  stdout.write(
    `${seconds.toFixed(2)} s, ${memory.toFixed(0)} MB, ${rows} rows, ${(bytes / 1e9).toFixed(2)} GB\n`,
  );
}

function compare(tree: string): void {
  for (let round = 0; round < rounds; round += 1) {
    const started = performance.now();
    spawnSync("sh", [
      "-c",
      `find ${tree} -type f | xargs -P2 -n 64 openssl dgst -sha256 >/dev/null`,
    ]);
    stdout.write(`openssl ${((performance.now() - started) / 1000).toFixed(2)} s   ours `);
    spawnSync(process.execPath, [...flags, import.meta.filename, tree], { stdio: "inherit" });
  }
}

const given = argv.slice(2);
for (const tree of given) await observeTree(tree);
if (given.length === 0) {
  fill(trees.node, nodeFiles());
  fill(trees.small, smallFiles());
  for (const [name, tree] of Object.entries(trees)) {
    stdout.write(`${name}\n`);
    compare(tree);
  }
  rmSync("/tmp/fim-bench", { recursive: true });
}
