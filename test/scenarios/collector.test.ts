import test from "ava";
import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { joinBy, startCollectorProcess } from "../helpers/collector-process.ts";
import type { CollectorProcess, ProcessOptions } from "../helpers/collector-process.ts";
import { networkMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { makeNode } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { until } from "../helpers/wait.ts";

const patience = 60_000;
const isAbsence = (type: string): boolean => /\.(?:silent|heard)$/.test(type);

interface Pair extends Disposable {
  readonly node: TestNode;
  readonly collector: CollectorProcess;
  readonly config: Readonly<Record<string, unknown>>;
}

/** A node with a baseline, a collector, and the configuration by which the node joins it. */
async function makePair(options: ProcessOptions = {}): Promise<Pair> {
  const node = makeNode({ rules: { "/srv/**": "high" } });
  node.write("/srv/known", "");
  await node.capture();
  const collector = await startCollectorProcess(node.beside("collector"), options);
  const config = {
    collector: await joinBy(collector, node.beside("join-token")),
    watch: { heartbeatEvery: "1s", quickSweepEvery: "1h" },
  };
  return { node, collector, config, [Symbol.dispose]: () => node[Symbol.dispose]() };
}

async function pathsAt(collector: CollectorProcess): Promise<readonly string[]> {
  const alerts = await collector.alerts();
  return alerts.flatMap(({ unmapped }) => unmapped?.fim?.path ?? []);
}

const untilShown = async (collector: CollectorProcess, path: string): Promise<unknown> =>
  await until(async () => (await pathsAt(collector)).includes(path), patience);

const untilWell = async (collector: CollectorProcess): Promise<Readonly<Record<string, unknown>>> =>
  await until(async () => {
    const [one] = await collector.nodes();
    return one?.["state"] === "well" ? one : undefined;
  }, patience);

const typesAt = async (collector: CollectorProcess): Promise<readonly string[]> =>
  (await collector.alerts()).map((one) => one.collector.type);

test("an agent joins with its token, and its alerts and its state are at the collector", async (t) => {
  using pair = await makePair();
  const { node, config } = pair;
  await using collector = pair.collector;
  await using watching = await node.watch({ config });
  node.write("/srv/made", "x");
  await untilShown(collector, "/srv/made");
  const found = await untilWell(collector);
  t.like(found, { node: hostname(), cluster: "default", engine: "chokidar" });
  t.like(found["baseline"], { counter: 1, rows: 2 });
  t.is(await watching.stop(), 0);
  t.true((await typesAt(collector)).includes("fim.agent.stopped"), "also its last words");
});

test("on the network the collector makes a certificate, which the join token pins", async (t) => {
  using pair = await makePair({ isPublic: true });
  const { node, config } = pair;
  await using collector = pair.collector;
  const joinToken = node.beside("join-token");
  const whole = readFileSync(joinToken, "utf8");
  writeFileSync(joinToken, whole.split(".")[0] ?? "");
  await using watching = await node.watch({ config });
  node.write("/srv/made", "x");
  const refused = await until(
    () => watching.logs().find(({ msg }) => msg === "not delivered"),
    patience,
  );
  t.regex(JSON.stringify(refused), /no trusted authority signed its certificate/);
  writeFileSync(joinToken, whole);
  await untilShown(collector, "/srv/made");
  rmSync(joinToken);
  node.write("/srv/more", "x");
  await untilShown(collector, "/srv/more");
});

test("either may be killed at any moment: each alert arrives, once, in order", async (t) => {
  using pair = await makePair();
  const { node, config } = pair;
  await using collector = pair.collector;
  let watching = await node.watch({ config });
  const names: string[] = [];
  for (let round = 0; round < 6; round += 1) {
    const isAgent = round % 2 === 0;
    for (let at = 0; at < 20; at += 1) {
      const name = `/srv/${round}-${String(at).padStart(2, "0")}`;
      node.write(name, name);
      names.push(name);
    }
    if (isAgent) {
      await watching.kill9();
      watching = await node.watch({ config });
    } else {
      await collector.kill9();
      node.write(`/srv/while-away-${round}`, "");
      names.push(`/srv/while-away-${round}`);
      await collector.start();
    }
  }
  for (const name of names) await untilShown(collector, name);
  await watching.stop();
  const alerts = (await collector.alerts()).filter((one) => one["class_uid"] === 1001);
  const numbers = alerts.map((one) => (one["metadata"] as { sequence: number }).sequence);
  t.deepEqual(
    numbers,
    [...new Set(numbers)].toSorted((a, b) => a - b),
    "once, in order",
  );
  t.deepEqual(
    (await alarmsAt(collector)).filter((type) => !isAbsence(type)),
    [],
  );
});

function ip(...args: readonly string[]): void {
  execFileSync("ip", args, { stdio: "pipe" });
}

/** A network of two ends: this machine's, and a namespace with the address `host`. */
function makeNetwork() {
  const namespace = `fim-${process.pid}`;
  const host = "10.98.76.2";
  ip("netns", "add", namespace);
  ip("link", "add", "fim-a", "type", "veth", "peer", "name", "fim-b", "netns", namespace);
  ip("addr", "add", "10.98.76.1/30", "dev", "fim-a");
  ip("-n", namespace, "addr", "add", `${host}/30`, "dev", "fim-b");
  ip("-n", namespace, "link", "set", "fim-b", "up");
  ip("link", "set", "fim-a", "up");
  return {
    namespace,
    host,
    cut: () => ip("link", "set", "fim-a", "down"),
    mend: () => ip("link", "set", "fim-a", "up"),
    [Symbol.dispose]: () => ip("netns", "del", namespace),
  };
}

needing(networkMissing())(
  "while the network is cut alerts wait; then each arrives once",
  async (t) => {
    using network = makeNetwork();
    using pair = await makePair({ network });
    const { node, config } = pair;
    await using collector = pair.collector;
    await using watching = await node.watch({ config });
    node.write("/srv/before", "x");
    await untilShown(collector, "/srv/before");
    network.cut();
    const names = Array.from({ length: 30 }, (_, at) => `/srv/meanwhile-${at}`);
    for (const name of names) node.write(name, name);
    await until(() => watching.logs().some(({ msg }) => msg === "not delivered"), patience);
    network.mend();
    for (const name of names) await untilShown(collector, name);
    const paths = (await pathsAt(collector)).filter((path) => path.startsWith("/srv/meanwhile-"));
    t.is(paths.length, names.length);
    await untilWell(collector);
  },
);

test("an agent that is started from an old copy of its state is found out", async (t) => {
  using pair = await makePair();
  const { node, config } = pair;
  await using collector = pair.collector;
  const first = await node.watch({ config });
  node.write("/srv/one", "");
  await untilShown(collector, "/srv/one");
  await first.stop();
  const copy = node.beside("copy");
  cpSync(node.state, copy, { recursive: true });
  const second = await node.watch({ config });
  node.write("/srv/two", "");
  await untilShown(collector, "/srv/two");
  await second.stop();
  rmSync(node.state, { recursive: true });
  cpSync(copy, node.state, { recursive: true });
  await using third = await node.watch({ config });
  node.write("/srv/three", "");
  await untilShown(collector, "/srv/three");
  const alarms = await until(async () => {
    const found = await alarmsAt(collector);
    return found.includes("fim.collector.fork") ? found : undefined;
  }, patience);
  t.true(alarms.includes("fim.collector.rollback") || alarms.includes("fim.collector.fork"));
  await until(() => third.logs().some(({ trouble }) => trouble === "collector"), patience);
});

test("a killed agent is silent after three heartbeats, and is heard again", async (t) => {
  using pair = await makePair();
  const { node, config } = pair;
  await using collector = pair.collector;
  const watching = await node.watch({ config });
  await untilWell(collector);
  await watching.kill9();
  await until(async () => (await collector.nodes())[0]?.["state"] === "silent", patience);
  await until(async () => (await alarmsAt(collector)).at(-1) === "fim.collector.silent", patience);
  await using _ = await node.watch({ config });
  await untilWell(collector);
  t.true((await alarmsAt(collector)).includes("fim.collector.heard"));
});

test("a collector that was set back asks for what it lacks", async (t) => {
  using pair = await makePair();
  const { node, config } = pair;
  await using collector = pair.collector;
  await using watching = await node.watch({ config });
  node.write("/srv/one", "");
  await untilShown(collector, "/srv/one");
  await collector.stop();
  const [kept, copy] = [node.beside("collector"), node.beside("collector-copy")];
  cpSync(kept, copy, { recursive: true });
  await collector.start();
  node.write("/srv/two", "");
  await untilShown(collector, "/srv/two");
  // An answer's checkpoint may be a second old: the next one is of a log that the copy does not have.
  const copied = logSizeOf(copy);
  await until(() => sizeKnown(node) > copied, patience);
  await collector.stop();
  rmSync(kept, { recursive: true });
  cpSync(copy, kept, { recursive: true });
  await collector.start();
  node.write("/srv/three", "");
  await untilShown(collector, "/srv/three");
  const paths = await pathsAt(collector);
  t.deepEqual(
    paths.filter((path) => path.startsWith("/srv/")),
    ["/srv/one", "/srv/two", "/srv/three"],
  );
  const seen = await until(
    () => watching.logs().find(({ trouble }) => trouble === "collector's log"),
    patience,
  );
  t.regex(String(seen["reason"]), /^the log (?:shrank|has another root|does not go on)/);
  const accepted = await node.run("accept", "--collector-log", "--reason", "restored");
  t.regex(accepted.stdout, /^collector's log: accepted as it is next seen; \d+ records were known/);
  await until(
    () => watching.logs().some((one) => one.msg === "recovered" && one.trouble === seen["trouble"]),
    patience,
  );
  t.true(
    node.records().some(({ body }) => body["reason"] === "another log was accepted: restored"),
    "the chain holds why",
  );
});

/** Records in the log of the collector of this state directory, which does not run. */
function logSizeOf(state: string): number {
  const db = new Database(join(state, "collector.db"));
  const log = db.prepare<[], string>("SELECT value FROM meta WHERE key = 'log'").pluck().get();
  db.close();
  return (JSON.parse(log ?? "{}") as { size?: number }).size ?? 0;
}

/** Records in the last checkpoint that the agent keeps. */
function sizeKnown(node: TestNode): number {
  const [row] = node.query("SELECT value FROM meta WHERE key = 'checkpoint of the collector'");
  const value = row?.["value"];
  const { note = "" } = JSON.parse(typeof value === "string" ? value : "{}") as { note?: string };
  return Number(note.split("\n")[1] ?? 0);
}

test("without a token that is good, the agent says why, and joins when it gets one", async (t) => {
  using pair = await makePair();
  const { node, config } = pair;
  await using collector = pair.collector;
  const joinToken = node.beside("join-token");
  writeFileSync(joinToken, "fimjoin_wrong", { mode: 0o600 });
  await using watching = await node.watch({ config });
  node.write("/srv/made", "");
  const refused = await until(
    () => watching.logs().find(({ msg }) => msg === "not delivered"),
    patience,
  );
  t.regex(JSON.stringify(refused), /not enrolled: .*the token is not for this node/);
  t.deepEqual(await collector.nodes(), []);
  const { stdout } = await collector.run("token", "--node", hostname());
  writeFileSync(joinToken, stdout);
  await untilShown(collector, "/srv/made");
  t.false(watching.lines.join("\n").includes(stdout), "no token in the log");
});

async function alarmsAt(collector: CollectorProcess): Promise<readonly string[]> {
  return (await typesAt(collector)).filter((type) => type.startsWith("fim.collector."));
}
