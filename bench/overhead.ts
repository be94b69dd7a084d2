import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { etcdMissing, startEtcd } from "../test/helpers/etcd.ts";
import { median, printTable } from "./program.ts";
import { Ground } from "./watching.ts";

/*
 * What other programs lose to the agent: a real etcd with a watched data directory, a loop of system calls without
 * files, and loops that write files: beside watched directories, watched files that may change, and watched files
 * with an alert for each change. With and without the agent in turn, each the median of five runs; a ratio of 1 is no
 * loss.
 */

const rounds = Number(process.env["FIM_BENCH_ROUNDS"] ?? 6);
const runs = 5;
const puts = 2000;
const writes = 5000;
const calls = 2_000_000;
/** Milliseconds: the agent has come to rest by then. */
const rest = 12_000;

interface Load {
  readonly name: string;
  readonly root: string;
  readonly policy: string;
  readonly run: () => Promise<void>;
}

export async function benchOverhead(): Promise<void> {
  using ground = new Ground();
  const { root, paths } = ground.files("overhead", 1000);
  const beside = ground.scratch.at("beside");
  mkdirSync(beside);
  const outside = writeTo(paths.map((_, at) => join(beside, `file-${at}`)));
  const inside = writeTo(paths.map((path) => join(root, path)));
  const fixed = ground.scratch.policy();
  const free = ground.scratch.policy("volatile");
  const rows = [
    await compare(ground, { name: "system calls", root, policy: fixed, run: callOften }),
    await compare(ground, { name: "files beside watched ones", root, policy: fixed, run: outside }),
    await compare(ground, { name: "watched files, may change", root, policy: free, run: inside }),
    await compare(ground, { name: "watched files, alerts", root, policy: fixed, run: inside }),
  ];
  if (etcdMissing === undefined) rows.push(await compareEtcd(ground));
  printTable(
    `overhead: medians of ${rounds} rounds, seconds, engine fanotify`,
    ["", "without", "with", "throughput kept"],
    rows,
  );
}

/** getppid(2) */
async function callOften(): Promise<void> {
  let sum = 0;
  for (let at = 0; at < calls; at += 1) sum += process.ppid;
  if (sum <= 0) throw new Error("expected a parent, found none");
}

function writeTo(files: readonly string[]): () => Promise<void> {
  return async () => {
    for (let at = 0; at < writes; at += 1) writeFileSync(files[at % files.length] ?? "", `${at}\n`);
  };
}

async function compareEtcd(ground: Ground): Promise<readonly string[]> {
  const root = ground.scratch.at("etcd");
  const dataDir = join(root, "var/lib/etcd");
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  await using etcd = await startEtcd({ dataDir });
  const run = (): Promise<void> => etcd.load(puts, 512);
  await run();
  return await compare(ground, { name: `etcd, ${puts} puts`, root, policy: "kubeadm", run });
}

async function compare(ground: Ground, load: Load): Promise<readonly string[]> {
  const without: number[] = [];
  const beside: number[] = [];
  const alone = async (): Promise<number> => without.push(await timed(load.run));
  for (let round = 0; round < rounds; round += 1) {
    // Each comes first equally often: one waits for the writes that the other left.
    if (round % 2 === 0) await alone();
    beside.push(await watched(ground, load));
    if (round % 2 === 1) await alone();
  }
  const ratios = without.map((one, at) => one / (beside[at] ?? Number.NaN));
  const figures = [median(without), median(beside), median(ratios)];
  return [`  ${load.name}`, ...figures.map((one) => one.toFixed(2))];
}

async function watched(ground: Ground, load: Load): Promise<number> {
  await using watching = await ground.watch(load.root, "fanotify", { policy: load.policy });
  await pause(rest);
  const seconds = await timed(load.run);
  await watching.stop();
  return seconds;
}

async function timed(run: () => Promise<void>): Promise<number> {
  const seconds: number[] = [];
  for (let time = 0; time < runs; time += 1) {
    const started = performance.now();
    await run();
    seconds.push((performance.now() - started) / 1000);
  }
  return median(seconds);
}
