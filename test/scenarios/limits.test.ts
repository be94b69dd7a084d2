import test from "ava";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { parseRow } from "../../src/core/change/observation.ts";
import { get } from "../helpers/http.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";
import { wrap } from "../helpers/processes.ts";
import { isGrave, startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { needing } from "../helpers/needs.ts";

const manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/** In a user namespace of its own the machine's limit stays as it is. */
const limitLine = (limit: number): string =>
  `exec unshare -U -r sh -c 'echo ${limit} > /proc/sys/user/max_inotify_watches && exec "$0" "$@"' AGENT "$@"`;

function whyNotLimited(): string | undefined {
  using place = makePlace();
  try {
    const program = wrap(place.at("limited"), limitLine(5).replace("AGENT", "true"));
    execFileSync(program, { stdio: "ignore" });
    return undefined;
  } catch {
    return "user namespaces are not allowed here";
  }
}

const limitless = whyNotLimited();
const limited = needing(limitless, "serial");

const reasonsOf = (node: RunningNode): readonly string[] =>
  node.watching
    .logs()
    .filter(({ msg }) => msg === "degraded")
    .map(({ reason }) => String(reason));

/** A change in each of these directories is found, and reported as what it is. */
async function findsAll(node: RunningNode, paths: readonly string[]): Promise<readonly string[]> {
  const engines = new Set<string>();
  for (const path of paths) {
    const before = node.alerts().length;
    writeFileSync(node.at(path), "changed\n", { flag: "a" });
    const alert = await node
      .alerted((one) => one.path === path, before)
      .catch((cause: unknown) => {
        throw new Error(`${path} was changed`, { cause });
      });
    if (alert.change !== "modified" || !isGrave(alert)) throw new Error(JSON.stringify(alert));
    engines.add(alert.engine ?? "none");
  }
  return [...engines];
}

const spread = [
  manifest,
  "/etc/kubernetes/pki/etcd/ca.crt",
  "/var/lib/kubelet/config.yaml",
  "/usr/bin/kubelet",
  "/opt/cni/bin/calico",
  "/etc/ssh/sshd_config",
];

const limits: readonly [limit: number, what: string, reason: RegExp][] = [
  [0, "no watch at all", /chokidar/],
  [25, "fewer watches than directories", /not every directory is watched: ENOSPC|chokidar/],
];

for (const [limit, what, reason] of limits)
  limited(`with ${what} the agent gets ready, says so, and finds every change`, async (t) => {
    using place = makePlace();
    const program = wrap(place.at("limited"), limitLine(limit));
    await using node = await startNode({ tree: "control-plane", engine: "chokidar", program });
    await until(() => node.events().includes("fim.agent.degraded"), 30_000);
    t.regex(reasonsOf(node).join("\n"), reason);
    t.log(reasonsOf(node).join("; "));
    const engines = await findsAll(node, spread);
    t.true(engines.includes("sweep"), engines.join());
    t.is(await node.watching.stop(), 0);
  });

limited("SIGTERM while an engine is tried again ends the agent with 0", async (t) => {
  using place = makePlace();
  const program = wrap(place.at("limited"), limitLine(5));
  await using node = await startNode({ tree: "control-plane", engine: "chokidar", program });
  t.regex(reasonsOf(node).join("\n"), /self-test: no hint/);
  // The next self-test makes it again.
  const made = join(node.state, "probe/created");
  rmSync(made, { force: true });
  await until(() => existsSync(made), 60_000);
  t.is(await node.watching.stop(), 0);
});

for (const limit of [0, 25])
  limited(`after a limit of ${limit} is raised, the agent watches again and says so`, async (t) => {
    using place = makePlace();
    const program = wrap(place.at("limited"), limitLine(limit));
    await using node = await startNode({ tree: "control-plane", engine: "chokidar", program });
    const degraded = async (): Promise<readonly string[]> => {
      const { body } = await get(`http://${node.watching.listen}/healthz`);
      return (JSON.parse(body) as { degraded: string[] }).degraded;
    };
    await until(async () => (await degraded()).length > 0, 30_000);
    const raise = "echo 100000 > /proc/sys/user/max_inotify_watches";
    execFileSync("nsenter", ["-U", "-t", String(node.watching.pid), "sh", "-c", raise]);
    await until(async () => (await degraded()).length === 0, 60_000);
    await until(() => node.events().includes("fim.agent.recovered"), 30_000);
    await node.catchUp();
    t.deepEqual(await findsAll(node, spread), ["chokidar"]);
    t.is(await node.watching.stop(), 0);
  });

test.serial(
  "without any engine the sweeps find what is made, changed, renamed and removed",
  async (t) => {
    await using node = await startNode({ tree: "control-plane", engine: "sweep" });
    await findsAll(node, spread);
    const made = "/etc/kubernetes/pki/new/evil.key";
    mkdirSync(node.at("/etc/kubernetes/pki/new"));
    writeFileSync(node.at(made), "key");
    t.is((await node.alerted((one) => one.path === made)).change, "created");
    renameSync(node.at(made), node.at(`${made}.old`));
    const renamed = await node.alerted((one) => one.path === `${made}.old`);
    t.is(renamed.change, "renamed");
    t.is(renamed.from, made);
    chmodSync(node.at(manifest), 0o666);
    const mode = await node.alerted(
      (one) => one.path === manifest && one.fields?.join() === "mode",
    );
    t.is(mode.after?.mode, "0666");
    rmSync(node.at(manifest));
    await node.alerted((one) => one.path === manifest && one.change === "deleted");
    t.deepEqual(new Set(node.alerts().map(({ engine }) => engine)), new Set(["sweep"]));
  },
);

const crowd = 1000;
const rounds = 30;

for (const engine of ["auto", "chokidar"] as const)
  test.serial(
    `with ${engine}, when 30,000 changes overflow the kernel's queue while the agent is held up, the final state of each file is known and reported`,
    async (t) => {
      const dir = "/etc/kubernetes/crowd";
      const pathOf = (at: number): string => `${dir}/${at}.yaml`;
      await using node = await startNode({
        tree: "control-plane",
        engine,
        prepare: ({ at }) => {
          mkdirSync(at(dir));
          for (let each = 0; each < crowd; each += 1) writeFileSync(at(pathOf(each)), String(each));
        },
      });
      process.kill(node.watching.pid, "SIGSTOP");
      try {
        for (let round = 0; round < rounds; round += 1)
          for (let each = 0; each < crowd; each += 1)
            chmodSync(node.at(pathOf(each)), 0o600 + (round % 8));
        for (let each = 0; each < crowd; each += 1)
          chmodSync(node.at(pathOf(each)), 0o400 + (each % 64));
      } finally {
        process.kill(node.watching.pid, "SIGCONT");
      }
      await node.catchUp();
      await until(() => lastModes(node).size === crowd, 60_000);
      const reported = lastModes(node);
      for (let each = 0; each < crowd; each += 1)
        t.is(
          reported.get(pathOf(each)),
          (0o400 + (each % 64)).toString(8).padStart(4, "0"),
          pathOf(each),
        );
      t.is(await node.watching.stop(), 0);
      t.deepEqual(differing(node), []);
      t.is(
        (await node.run("check", "--format", "ndjson", dir)).stdout.trim().split("\n").length,
        crowd,
      );
    },
  );

/** Path -> mode, as the last alert about it reported. */
function lastModes(node: RunningNode): ReadonlyMap<string, string | undefined> {
  return new Map(node.alerts().map(({ path, after }) => [path, after?.mode]));
}

/** Paths for which the agent's database knows another mode or inode than there is. */
function differing(node: RunningNode): readonly string[] {
  const db = new Database(join(node.state, "fim.db"));
  try {
    const rows = db
      .prepare<[], { path: Buffer; row: Buffer }>("SELECT path, row FROM current")
      .all();
    if (rows.length < crowd) return [`only ${rows.length} rows`];
    return rows.flatMap(({ path, row }) => {
      const name = path.toString();
      const known = parseRow(row.toString());
      const stats = lstatSync(node.at(name), { throwIfNoEntry: false });
      const isSame = stats?.ino === Number(known.ino) && (stats.mode & 0o7777) === known.mode;
      return isSame ? [] : [name];
    });
  } finally {
    db.close();
  }
}
