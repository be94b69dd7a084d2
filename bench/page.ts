import { mkdtempSync, rmSync } from "node:fs";
import { randomBytes, randomInt } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { argv, stdout } from "node:process";
import pino from "pino";
import { openCollector } from "../src/collector/collector.ts";
import type { StoreSettings } from "../src/collector/collector.ts";
import { makeSecret } from "../src/collector/enroll/token.ts";
import { Feed } from "../src/collector/feed.ts";
import { toStored } from "../src/collector/ingest/columns.ts";
import { pack } from "../src/collector/store/packed.ts";
import type { Collector } from "../src/collector/ingest/receive.ts";
import { createCollectorMetrics } from "../src/collector/metrics.ts";
import { sessionHash } from "../src/collector/server/auth.ts";
import { makeServer } from "../src/collector/server/server.ts";
import type { Store } from "../src/collector/store/store.ts";
import { severities } from "../src/core/policy/rule.ts";
import { genesisHead, link } from "../src/core/record/chain.ts";
import type { ChainRecord, Head } from "../src/core/record/chain.ts";
import { browserMissing, openBrowser, visit } from "../test/helpers/browser.ts";
import { until } from "../test/helpers/wait.ts";
import { quantile } from "./program.ts";
import { postgresMissing, startPostgres } from "../test/helpers/postgres.ts";

/*
 * How long the collector takes to answer the page with many alerts stored, over HTTP, one request at a time:
 *
 *   node bench/page.ts [ALERTS] [DAYS] [SQLITE-FILE | postgres://…]
 *
 * Default: a million alerts of 50 nodes and 2,000 paths in 30 days, none acknowledged, on SQLite, then on PostgreSQL if
 * it is installed. They are stored without signatures, which no answer here reads. A store that is named is kept, and
 * asked as it is when it holds alerts. 3 GB below TMPDIR. "Loop": the 99th percentile of the delay of
 * the event loop, on which the questions are asked and the answers are read, too.
 */

const [alerts = 1_000_000, days = 30] = argv.slice(2, 4).map(Number);
const nodes = 50;
const paths = 2000;
const perBatch = 1000;
const rounds = 200;
const end = Date.now();

/** Of a hundred alerts, up to which one each severity goes. */
const shares = [50, 70, 85, 97, 100];

function bodyOf(index: number): Record<string, unknown> {
  const share = randomInt(100);
  const rank = shares.findIndex((upTo) => share < upTo);
  const severity = severities[rank];
  const path = `/etc/kubernetes/file-${randomInt(paths)}.conf`;
  const time = end - Math.floor(((alerts - index) / alerts) * days * 86_400_000);
  const uid = `0199${randomBytes(14).toString("hex")}`;
  const incident = index % 10 < 4 ? undefined : `incident-${Math.floor(index / 10)}`;
  const fim = { path, change: "modified", rule: "kubeadm/static-pods", severity, incident };
  // As long as the event of an agent.
  const rest = "x".repeat(1200);
  return { severity_id: rank + 1, time, metadata: { uid }, unmapped: { fim }, rest };
}

async function fillStore({ store, clock }: Collector): Promise<void> {
  const now = clock();
  const known = await Promise.all(
    Array.from({ length: nodes }, async (_, at) => {
      const name = { cluster: "prod", node: `cp-${at}` };
      const publicKey = randomBytes(32);
      const key = { keyId: `ed25519:${at}`, publicKey };
      const facts = { envelope: "{}", former: [], now };
      const node = await store.transact(async (tx) => await tx.enrol(name, key, facts));
      return { node, chain: `prod/cp-${at}/a`, head: genesisHead(publicKey) };
    }),
  );
  for (let index = 0; index < alerts; index += perBatch) {
    const one = known[(index / perBatch) % nodes];
    if (one) one.head = await append(store, one, index);
  }
}

async function append(
  store: Collector["store"],
  { node, chain, head }: { node: { id: number }; chain: string; head: Head },
  from: number,
): Promise<Head> {
  let last = head;
  const records = Array.from({ length: perBatch }, (_, at) => {
    const body = bodyOf(from + at);
    const entry = { at: new Date(end).toISOString(), kind: "alert", body } as const;
    const linked = link(last, chain, entry);
    last = linked;
    const stored = toStored({ ...linked, record: entry as unknown as ChainRecord }, end);
    return { ...stored, bytes: linked.bytes };
  });
  const batch = { chain, branch: 0, envelope: "{}", first: head.seq + 1, nextKeyId: "k" };
  const packs = pack(records.map(({ bytes }) => bytes));
  const stored = { ...batch, head: { seq: last.seq, hash: last.hash }, records, packs };
  await store.transact(async (tx) => await tx.append(node.id, stored, end));
  return stored.head;
}

/** Milliseconds: the median, the 95th percentile, the longest; the event loop's longest delay. */
async function measure(ask: () => Promise<unknown>): Promise<string> {
  const times: number[] = [];
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  for (let round = 0; round < rounds; round += 1) {
    const begin = performance.now();
    await ask();
    times.push(performance.now() - begin);
  }
  delay.disable();
  times.sort((a, b) => a - b);
  const at = (share: number): number =>
    times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  // The timer itself is due each millisecond.
  const loop = Math.max(0, delay.percentile(99) / 1e6 - 1);
  return [at(0.5), at(0.95), at(1), loop].map((one) => one.toFixed(1).padStart(8)).join("");
}

async function fill(collector: Collector, name: string): Promise<void> {
  const [known] = await collector.store.alerts({ limit: 1 });
  if (known) return;
  const begin = performance.now();
  await fillStore(collector);
  const seconds = (performance.now() - begin) / 1000;
  const size = (await collector.store.days.size()) / 2 ** 20;
  stdout.write(
    `${name}: ${alerts} alerts stored in ${seconds.toFixed(0)} s, ${size.toFixed(0)} MiB\n`,
  );
}

/** An address of the API, or a question to the store. */
type Question = string | (() => Promise<unknown>);

function questionsOf(store: Store, uid: string): Readonly<Record<string, Question>> {
  const open = "/v1/alerts?acknowledged=false&minSeverity=low&limit=100";
  const day = new Date(end - 20 * 86_400_000).toISOString();
  const dayEnd = new Date(Date.parse(day) + 3_600_000).toISOString();
  return {
    "list, as it opens": open,
    "list, everything": "/v1/alerts?limit=100",
    "list, half way down": `${open}&cursor=${(alerts / 2).toString(36)}`,
    "one node": `${open}&node=cp-7&cluster=prod`,
    "one node, critical":
      "/v1/alerts?acknowledged=false&severity=critical&node=cp-7&cluster=prod&limit=100",
    "one path": `${open}&path=/etc/kubernetes/file-7.conf`,
    "a word that all paths hold": `${open}&path=*kubernetes*`,
    "a word that 11 paths of 2,000 hold": `${open}&path=*file-77*`,
    "a word that 1 path holds": `${open}&path=*file-777.*`,
    "a word that no path holds": `${open}&path=*nothing*`,
    "a word, among the acknowledged": "/v1/alerts?acknowledged=true&path=*file-77*",
    "another kind of change": `${open}&change=deleted`,
    "another rule": `${open}&rule=none`,
    "acknowledged: none": "/v1/alerts?acknowledged=true&minSeverity=low&limit=100",
    "an hour, 20 days ago": `/v1/alerts?limit=100&since=${day}&until=${dayEnd}`,
    "one incident": "/v1/alerts?incident=incident-77",
    "one alert": `/v1/alerts/${uid}`,
    "its record and proof": `/v1/alerts/${uid}/record`,
    "counts and hours, shared for a second": "/v1/summary",
    "  open alerts, not shared": () => store.openAlerts(),
    "  alerts by hour, not shared": () => store.alertsByHour(end - 86_400_000),
    "counts of the list, as it opens": open.replace("alerts", "counts"),
    "counts of everything": "/v1/counts",
    "counts of one node": "/v1/counts?acknowledged=false&minSeverity=low&node=cp-7&cluster=prod",
    "counts of a word that 11 paths hold": "/v1/counts?acknowledged=false&path=*file-77*",
    "counts of a day, 20 days ago": `/v1/counts?since=${day}&until=${new Date(Date.parse(day) + 86_400_000).toISOString()}`,
    nodes: "/v1/nodes",
  };
}

async function bench(name: string, settings: StoreSettings): Promise<void> {
  await using collector = await openCollector({ ...settings, name: "bench" }, Date.now);
  const { store, clock } = collector;
  await fill(collector, name);
  const token = makeSecret("fimapi");
  await store.users.add("bench", undefined, 0);
  await store.users.addSession(sessionHash(token), { user: "bench", kind: "token", created: 0 });
  const metrics = createCollectorMetrics({ store, clock, followers: () => 0 });
  const log = pino({ level: "silent" });
  const server = await makeServer({ collector, feed: new Feed(), metrics, log });
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  const get = async (path: string): Promise<string> => {
    const answer = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return await answer.text();
  };
  const [middle] = await store.alerts({ limit: 1, before: Math.floor(alerts / 2) });
  stdout.write(`${`${name}, milliseconds`.padEnd(40)}  median     p95 longest    loop\n`);
  for (const [title, one] of Object.entries(questionsOf(store, middle?.uid ?? ""))) {
    const ask = typeof one === "string" ? () => get(one) : one;
    await ask();
    stdout.write(`${title.padEnd(40)}${await measure(ask)}\n`);
  }
  await drawPage(name, { url, collector });
  await server.close();
}

/** How long the browser, with nothing in its cache, takes to draw something, and the list. */
async function drawPage(name: string, serving: { url: string; collector: Collector }) {
  if (browserMissing !== undefined)
    return void stdout.write(`${name}: the page was not drawn, ${browserMissing}\n`);
  const browser = await openBrowser();
  const paints: number[] = [];
  const lists: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    await using visited = await visit(browser, serving);
    const { page } = visited;
    await page.goto(serving.url);
    await page.locator(".row").first().waitFor();
    lists.push(await page.evaluate("performance.now()"));
    const paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime";
    paints.push(await until(async () => await page.evaluate<number | undefined>(paint)));
  }
  await browser.close();
  stdout.write(
    `${name}: Chromium draws something after ${quantile(paints, 0.5).toFixed(0)} ms, the list after ${quantile(lists, 0.5).toFixed(0)} ms (medians of 9)\n`,
  );
}

const state = mkdtempSync(join(tmpdir(), "fim-bench-page-"));
try {
  const named = argv[4];
  if (named !== undefined) await bench("store", { state, store: named });
  else {
    await bench("SQLite", { state });
    if (postgresMissing !== undefined) stdout.write(`PostgreSQL: skipped, ${postgresMissing}\n`);
    else {
      await using postgres = await startPostgres();
      await bench("PostgreSQL", { state, store: await postgres.createSchema() });
    }
  }
} finally {
  rmSync(state, { recursive: true, force: true });
}
