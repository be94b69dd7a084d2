import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { etcdMissing, startEtcd } from "../test/helpers/etcd.ts";
import { median, printTable } from "./program.ts";
import { Ground } from "./watching.ts";

/*
 * What others lose to the agent: a real etcd whose data directory is watched, and a loop that writes files, beside
 * watched directories and in them. With and without the agent in turn; a ratio of 1 is no loss.
 */

const rounds = 3;
const puts = 500;
const writes = 10_000;

interface Load {
  readonly name: string;
  readonly root: string;
  readonly policy?: string;
  readonly run: () => Promise<void>;
}

export async function benchOverhead(): Promise<void> {
  using ground = new Ground();
  const { root, paths } = ground.files("overhead", 1000);
  const beside = ground.scratch.at("beside");
  mkdirSync(beside);
  const outside = paths.map((_, at) => join(beside, `file-${at}`));
  const rows = [
    await compare(ground, { name: "files beside watched ones", root, run: writeTo(outside) }),
    await compare(ground, {
      name: "watched files",
      root,
      run: writeTo(paths.map((path) => join(root, path))),
    }),
  ];
  if (etcdMissing === undefined) rows.push(await compareEtcd(ground));
  printTable(
    `overhead: medians of ${rounds} rounds, seconds, engine fanotify`,
    ["", "without", "with", "throughput kept"],
    rows,
  );
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
  for (let round = 0; round < rounds; round += 1) {
    without.push(await timed(load.run));
    await using watching = await ground.watch(load.root, "fanotify", { policy: load.policy });
    beside.push(await timed(load.run));
    await watching.stop();
  }
  const [a, b] = [median(without), median(beside)];
  return [`  ${load.name}`, a.toFixed(2), b.toFixed(2), (a / b).toFixed(2)];
}

async function timed(run: () => Promise<void>): Promise<number> {
  const started = performance.now();
  await run();
  return (performance.now() - started) / 1000;
}
