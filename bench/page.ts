import { mkdtempSync, rmSync, statSync } from "node:fs";
import { randomBytes, randomInt } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argv, stdout } from "node:process";
import pino from "pino";
import { openCollector } from "../src/collector/collector.ts";
import { makeSecret } from "../src/collector/enroll/token.ts";
import { Feed } from "../src/collector/feed.ts";
import { toStored } from "../src/collector/ingest/columns.ts";
import type { Collector } from "../src/collector/ingest/receive.ts";
import { createCollectorMetrics } from "../src/collector/metrics.ts";
import { sessionHash } from "../src/collector/server/auth.ts";
import { makeServer } from "../src/collector/server/server.ts";
import { severities } from "../src/core/policy/rule.ts";
import { genesisHead, link } from "../src/core/record/chain.ts";
import type { ChainRecord, Head } from "../src/core/record/chain.ts";

/*
 * How long the collector takes to answer the page with many alerts stored, over HTTP, one request at a time:
 *
 *   node bench/page.ts [ALERTS] [DAYS]
 *
 * Default: a million alerts of 50 nodes and 2,000 paths in 30 days, none acknowledged. They are stored without
 * signatures, which no answer here reads. 2 GB below TMPDIR.
 */

const [alerts = 1_000_000, days = 30] = argv.slice(2).map(Number);
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
    return toStored({ ...linked, record: entry as unknown as ChainRecord }, end);
  });
  const batch = { chain, branch: 0, envelope: "{}", first: head.seq + 1, nextKeyId: "k" };
  const stored = { ...batch, head: { seq: last.seq, hash: last.hash }, records };
  await store.transact(async (tx) => await tx.append(node.id, stored, end));
  return stored.head;
}

/** Milliseconds: the median, the 95th percentile, the longest. */
async function measure(ask: () => Promise<unknown>): Promise<string> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const begin = performance.now();
    await ask();
    times.push(performance.now() - begin);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0)
      .toFixed(1)
      .padStart(8);
  return `${at(0.5)}${at(0.95)}${at(1)}`;
}

const state = mkdtempSync(join(tmpdir(), "fim-bench-page-"));
try {
  await using collector = await openCollector({ state, name: "bench" }, Date.now);
  const { store, clock } = collector;
  const begin = performance.now();
  await fillStore(collector);
  const seconds = (performance.now() - begin) / 1000;
  const { size } = statSync(join(state, "collector.db"));
  stdout.write(`${alerts} alerts in ${seconds.toFixed(0)} s, ${(size / 2 ** 20).toFixed(0)} MiB\n`);
  const token = makeSecret("fimapi");
  await store.users.add("bench", undefined, 0);
  await store.users.addSession(sessionHash(token), { user: "bench", kind: "token", created: 0 });
  const feed = new Feed();
  const metrics = createCollectorMetrics({ store, clock, followers: () => 0 });
  const server = await makeServer({ collector, feed, metrics, log: pino({ level: "silent" }) });
  const url = await server.listen({ host: "127.0.0.1", port: 0 });
  const headers = { authorization: `Bearer ${token}` };
  const get = async (path: string): Promise<string> => {
    const answer = await fetch(`${url}${path}`, { headers });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return await answer.text();
  };
  const [middle] = await store.alerts({ limit: 1, before: Math.floor(alerts / 2) });
  const open = "acknowledged=false&minSeverity=low&limit=100";
  const day = new Date(end - 20 * 86_400_000).toISOString();
  const questions: Readonly<Record<string, () => Promise<unknown>>> = {
    "list, as it opens": () => get(`/v1/alerts?${open}`),
    "list, everything": () => get("/v1/alerts?limit=100"),
    "list, half way down": () => get(`/v1/alerts?${open}&cursor=${(alerts / 2).toString(36)}`),
    "one node": () => get(`/v1/alerts?${open}&node=cp-7&cluster=prod`),
    "one node, critical": () =>
      get(`/v1/alerts?acknowledged=false&severity=critical&node=cp-7&limit=100`),
    "one path": () => get(`/v1/alerts?${open}&path=/etc/kubernetes/file-7.conf`),
    "paths that hold a word": () => get(`/v1/alerts?${open}&path=*file-77*`),
    "paths that hold a word of none": () => get(`/v1/alerts?${open}&path=*nothing*`),
    "another kind of change": () => get(`/v1/alerts?${open}&change=deleted`),
    "another rule": () => get(`/v1/alerts?${open}&rule=none`),
    "acknowledged: none": () => get("/v1/alerts?acknowledged=true&minSeverity=low&limit=100"),
    "an hour, 20 days ago": () =>
      get(
        `/v1/alerts?limit=100&since=${day}&until=${new Date(Date.parse(day) + 3_600_000).toISOString()}`,
      ),
    "one incident": () => get(`/v1/alerts?incident=incident-77`),
    "one alert": () => get(`/v1/alerts/${middle?.uid}`),
    "its record and proof": () => get(`/v1/alerts/${middle?.uid}/record`),
    "counts and hours (shared for a second)": () => get("/v1/summary"),
    "  open alerts, uncached": () => store.openAlerts(),
    "  alerts by hour, uncached": () => store.alertsByHour(end - 86_400_000),
    nodes: () => get("/v1/nodes"),
  };
  stdout.write(`${"milliseconds".padEnd(40)}  median     p95 longest\n`);
  for (const [name, ask] of Object.entries(questions)) {
    await ask();
    stdout.write(`${name.padEnd(40)}${await measure(ask)}\n`);
  }
  await server.close();
} finally {
  rmSync(state, { recursive: true, force: true });
}
