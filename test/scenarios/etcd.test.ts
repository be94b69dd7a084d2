import test from "ava";
import type { ExecutionContext } from "ava";
import {
  chmodSync,
  chownSync,
  closeSync,
  cpSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import type { Field } from "../../src/core/change/change.ts";
import { etcdMissing, startEtcd } from "../helpers/etcd.ts";
import type { Etcd } from "../helpers/etcd.ts";
import { until } from "../helpers/wait.ts";
import { inShort } from "../helpers/node.ts";
import type { Alert } from "../helpers/node.ts";
import { cpuTime } from "../helpers/processes.ts";
import { isGrave, startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";

const data = "/var/lib/etcd";
const wal = `${data}/member/wal`;
const snap = `${data}/member/snap`;
const megabytes = 1_400_000;

const namesOf = (dir: string, ending: string): readonly string[] =>
  readdirSync(dir)
    .filter((name) => name.endsWith(ending))
    .toSorted();

/** Puts until the log was cut this many times more. A segment takes 64 MB. */
async function cut(etcd: Etcd, dir: string, times: number): Promise<void> {
  const newest = (): string => namesOf(dir, ".wal").at(-1) ?? "";
  for (let done = 0; done < times; done += 1) {
    const before = newest();
    for (let puts = 0; newest() === before; puts += 1) {
      if (puts > 40) throw new Error(`the log was not cut after ${before}`);
      await etcd.load(4, megabytes);
    }
  }
}

/** Everything that a healthy etcd does, from steady puts to a kill and a restart. */
async function liveALife(t: ExecutionContext, node: RunningNode, first: Etcd): Promise<Etcd> {
  const segments = (): readonly string[] => namesOf(node.at(wal), ".wal");
  const snapshots = (): readonly string[] => namesOf(node.at(snap), ".snap");
  const [oldest] = segments();
  const [oldestSnapshot] = snapshots();

  for (let at = 0; at < 30; at += 1) await first.put(`/registry/leases/${at}`, "renewed");
  await first.load(300, 300);
  await cut(first, node.at(wal), 2);
  await first.load(60, 100);
  await first.compact(await first.revision());
  await first.defragment();
  await first.snapshot(node.beside("saved.db"));
  await until(() => segments()[0] !== oldest && snapshots()[0] !== oldestSnapshot, 90_000);
  t.log(`left after the purge: ${segments().join(" ")}, ${snapshots().length} snapshots`);

  await first.stop("SIGTERM");
  const second = await startEtcd({ dataDir: node.at(data), args: ["--snapshot-count=50"] });
  await second.load(60, 100);
  await second.stop("SIGKILL");
  const third = await startEtcd({ dataDir: node.at(data), args: ["--snapshot-count=50"] });
  await cut(third, node.at(wal), 2);
  await third.defragment();
  await third.load(60, 100);
  return third;
}

/** The node's own etcd is the very file that runs: a copy would not be an allowed writer. */
function makeNative(at: (path: string) => string): void {
  linkSync("/usr/bin/etcd", at("/usr/bin/etcd"));
}

/** Where the temporary directory is on another filesystem, the two cannot be one file. */
const isApart = !etcdMissing && statSync("/usr/bin/etcd").dev !== statSync(tmpdir()).dev;

interface Attack {
  readonly name: string;
  readonly play: (node: RunningNode) => void;
  readonly isTold: (alert: Alert, node: RunningNode) => boolean;
}

const has = (alert: Alert, path: string, field?: Field): boolean =>
  alert.path === path && (field === undefined || alert.fields?.includes(field) === true);

function attacks(segments: readonly string[], engine: "auto" | "chokidar"): readonly Attack[] {
  const [first = "", second = ""] = segments;
  return [
    {
      name: "a byte is written into a sealed segment",
      play: (node) => {
        const file = openSync(node.at(`${wal}/${first}`), "r+");
        writeSync(file, "rewritten history", 5000);
        closeSync(file);
      },
      isTold: (alert) => alert.change === "modified" && has(alert, `${wal}/${first}`, "content"),
    },
    {
      name: "a sealed segment is deleted out of order",
      play: (node) => rmSync(node.at(`${wal}/${second}`)),
      isTold: (alert) => alert.change === "deleted" && has(alert, `${wal}/${second}`),
    },
    {
      name: "a file of another name lies in member/",
      play: (node) => writeFileSync(node.at(`${data}/member/run.sh`), "#!/bin/sh\n"),
      isTold: (alert) => alert.change === "created" && has(alert, `${data}/member/run.sh`),
    },
    {
      name: "a segment is called broken",
      play: (node) => cpSync(node.at(`${wal}/${first}`), node.at(`${wal}/${first}.broken`)),
      isTold: (alert) => alert.change === "created" && has(alert, `${wal}/${first}.broken`),
    },
    {
      name: "the database may be read by every user",
      play: (node) => chmodSync(node.at(`${snap}/db`), 0o644),
      isTold: (alert) => alert.change === "modified" && has(alert, `${snap}/db`, "mode"),
    },
    {
      name: "the database belongs to another process",
      play: (node) => chownSync(node.at(`${snap}/db`), 1000, 1000),
      isTold: (alert) => has(alert, `${snap}/db`, "owner") && has(alert, `${snap}/db`, "group"),
    },
    {
      name: "the database has a second name beside it",
      play: (node) => linkSync(node.at(`${snap}/db`), node.at(`${snap}/db.old`)),
      isTold: (alert) => alert.change === "created" && has(alert, `${snap}/db.old`),
    },
    // Only an engine that knows who writes can report this from what etcd itself does.
    ...(engine === "auto" ? [foreignWrite, foreignSegment] : []),
  ];
}

const foreignWrite: Attack = {
  name: "another program writes into the database",
  play: (node) => {
    const file = openSync(node.at(`${snap}/db`), "r+");
    writeSync(file, "another value", 8192);
    closeSync(file);
  },
  isTold: ({ path, actor }) => path === `${snap}/db` && actor?.pid === process.pid,
};

const foreignSegment: Attack = {
  name: "another program adds the next segment",
  play: (node) => writeFileSync(node.at(`${wal}/ffffffffffffffff-ffffffffffffffff.wal`), "x"),
  isTold: ({ path, change }) => path.includes("/ffffffffffffffff-") && change === "created",
};

const missing = etcdMissing ?? (isApart ? "needs a temporary directory on its filesystem" : "");
const real = missing ? test.serial.skip : test.serial;

for (const engine of ["auto", "chokidar"] as const)
  real(
    `a healthy etcd raises no alarm with ${engine}, and whatever is done to its files behind its back does${missing ? ` (${missing})` : ""}`,
    async (t) => {
      t.timeout(240_000);
      let first: Etcd | undefined;
      await using stack = new AsyncDisposableStack();
      const node = stack.use(
        await startNode({
          tree: "control-plane",
          engine,
          prepare: async ({ at }) => {
            makeNative(at);
            first = stack.use(
              await startEtcd({
                dataDir: at(data),
                args: ["--snapshot-count=50", "--max-wals=1", "--max-snapshots=1"],
              }),
            );
            await first.load(120, 100);
          },
        }),
      );
      if (!first) throw new Error("etcd was not started");
      const { pid } = node.watching;
      const used = cpuTime(pid);
      const from = performance.now();
      const etcd = stack.use(await liveALife(t, node, first));
      const seconds = (performance.now() - from) / 1000;
      t.log(
        `CPU in ${seconds.toFixed()} s: agent ${cpuTime(pid) - used} ms; etcd's last ${cpuTime(etcd.pid)} ms`,
      );
      await node.catchUp();
      t.log(`${node.alerts().length} alerts of any kind`);
      t.deepEqual(inShort(node.alerts().filter(isGrave)), []);
      const check = await node.run("check", "--format", "ndjson", data);
      t.is(check.code, 0, check.stdout + check.stderr);

      await etcd.stop();
      await node.catchUp();
      const backup = node.beside("backup");
      cpSync(node.at(data), backup, { recursive: true, preserveTimestamps: true });
      const again = stack.use(await startEtcd({ dataDir: node.at(data) }));
      await cut(again, node.at(wal), 1);
      await node.catchUp();
      t.deepEqual(inShort(node.alerts().filter(isGrave)), []);

      const segments = namesOf(node.at(wal), ".wal");
      for (const { name, play, isTold } of attacks(segments, engine)) {
        const before = node.alerts().length;
        play(node);
        const alert = await node.alerted((one) => isTold(one, node), before);
        t.true(isGrave(alert), `${name}: ${inShort([alert]).join()}`);
      }

      await again.stop();
      await node.catchUp();
      const before = node.alerts().length;
      renameSync(node.at(`${data}/member`), node.beside("member"));
      renameSync(`${backup}/member`, node.at(`${data}/member`));
      await node.catchUp();
      const rolledBack = node.alerts().slice(before).filter(isGrave);
      const newest = `${wal}/${segments.at(-1)}`;
      const reported = inShort(rolledBack).join("\n");
      t.true(
        rolledBack.some(({ path, change }) => path === newest && change === "deleted"),
        `the newest segment is gone: ${reported}`,
      );
      const tail = `${wal}/${segments.at(-2)}`;
      t.true(
        rolledBack.some(({ path, fields }) => path === tail && fields?.includes("content")),
        `the one before it is an older file: ${reported}`,
      );
    },
  );
