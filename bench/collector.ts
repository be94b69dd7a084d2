import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createPublicKey, randomBytes } from "node:crypto";
import { Agent, request } from "node:http";
import { statSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { openStore } from "../src/collector/collector.ts";
import { toEvent } from "../src/core/record/alert.ts";
import { keyIdOf, rawPublicKey } from "../src/core/record/dsse.ts";
import { Reporter } from "../test/helpers/collector.ts";
import { freePort } from "../test/helpers/http.ts";
import { eventContext, judgedOf } from "../test/helpers/judged.ts";
import { postgresMissing, startPostgres } from "../test/helpers/postgres.ts";
import { until } from "../test/helpers/wait.ts";
import { nextUuidClock, uuidv7 } from "../src/core/uuid.ts";
import type { UuidClock } from "../src/core/uuid.ts";
import { buildProgram, quantile, Scratch } from "./program.ts";

/*
 * One collector process that nodes send to over HTTP: gzip, batches that are signed for real, alerts of the usual size.
 * What is sent is made before the time is taken. PostgreSQL and the load run on the same machine.
 */

interface Load {
  readonly nodes: number;
  /** In all. Each request has `batches` of `records`. */
  readonly requests: number;
  readonly batches: number;
  readonly records: number;
  /** Nodes that send a heartbeat each. */
  readonly heartbeats: number;
}

const usual: Load = { nodes: 64, requests: 256, batches: 10, records: 20, heartbeats: 10_000 };
/** Requests at once. */
const connections = 24;

export async function benchCollector(load: Load = usual): Promise<void> {
  using scratch = new Scratch();
  const launcher = join(buildProgram(scratch.at("program")), "../fim-collector");
  await bench("SQLite", `sqlite:${scratch.at("collector.db")}`, { launcher, scratch, load });
  if (postgresMissing !== undefined) return say(`PostgreSQL: skipped, ${postgresMissing}`);
  await using server = await startPostgres();
  await bench("PostgreSQL", await server.createSchema(), { launcher, scratch, load });
}

interface Ground {
  readonly launcher: string;
  readonly scratch: Scratch;
  readonly load: Load;
}

async function bench(name: string, store: string, { launcher, scratch, load }: Ground) {
  const state = scratch.at(`state-${name}`);
  const nodes = reporters(load.nodes, "cp");
  const quiet = reporters(load.heartbeats, "quiet");
  await enrolAll(store, state, [...nodes, ...quiet]);
  const requests = nodes.map((node) =>
    Array.from({ length: load.requests / nodes.length }, () => bodyOf(node, load)),
  );
  await using serving = await serve(launcher, { store, state });
  const before = await serving.metric("process_cpu_seconds_total");
  await sendRecords(name, requests, { url: serving.url, load });
  const cpu = (await serving.metric("process_cpu_seconds_total")) - before;
  const count = load.requests * load.batches * load.records;
  say(`${name}: ${Math.round((cpu * 1e6) / count)} µs of the collector's CPU a record`);
  await sendHeartbeats(name, quiet, serving.url);
  const [honest] = nodes;
  if (honest) await sendBesideFlood(name, honest, serving.url);
  const file = store.startsWith("sqlite:") ? store.slice("sqlite:".length) : undefined;
  if (file !== undefined)
    say(`${name}: ${Math.round(statSync(file).size / count)} bytes of the database a record`);
  const memory = (await serving.metric("process_resident_memory_bytes")) / 2 ** 20;
  say(`${name}: ${Math.round(memory)} MB of memory at the end`);
}

async function sendRecords(
  name: string,
  requests: readonly (readonly Buffer[])[],
  { url, load }: { readonly url: string; readonly load: Load },
): Promise<void> {
  const started = performance.now();
  await inTurn(requests, async (bodies) => {
    for (const body of bodies) await post(url, body);
  });
  const seconds = (performance.now() - started) / 1000;
  const count = load.requests * load.batches * load.records;
  const rate = Math.round(count / seconds);
  const size = Math.round(requests.flat().reduce((sum, one) => sum + one.length, 0) / 1e6);
  say(
    `${name}: ${rate} records/s verified and stored (${count} in ${seconds.toFixed(1)} s, ${size} MB of gzip)`,
  );
}

async function sendHeartbeats(
  name: string,
  nodes: readonly Reporter[],
  url: string,
): Promise<void> {
  const { nonce } = (await (await fetch(`${url}/v1/nonce`)).json()) as { nonce: string };
  const beats = nodes.map((node) => gzipSync(node.heartbeat(nonce)));
  const waits: number[] = [];
  const started = performance.now();
  await inTurn(beats, async (beat) => {
    const sent = performance.now();
    await post(url, beat);
    waits.push(performance.now() - sent);
  });
  const seconds = (performance.now() - started) / 1000;
  const slow = quantile(waits, 0.99).toFixed(0);
  say(
    `${name}: ${Math.round(nodes.length / seconds)} heartbeats/s of ${nodes.length} nodes, 99 % answered in ${slow} ms`,
  );
}

/** Requests of strangers at once, each 32 MB when it is uncompressed: more than the collector takes. */
const strangers = 8;

/** How long one node waits for its answers, alone and while strangers flood the collector. */
async function sendBesideFlood(name: string, node: Reporter, url: string): Promise<void> {
  const slowest = async (): Promise<number> => {
    const waits: number[] = [];
    for (let sent = 0; sent < 100; sent += 1) {
      const body = bodyOf(node, { batches: 1, records: 1 });
      const began = performance.now();
      await post(url, body);
      waits.push(performance.now() - began);
    }
    return quantile(waits, 0.95);
  };
  const alone = await slowest();
  const bomb = gzipSync(Buffer.alloc(2 ** 25));
  const over = new AbortController();
  const flood = Promise.all(
    Array.from({ length: strangers }, async () => {
      while (!over.signal.aborted) await ask(url, bomb);
    }),
  );
  const beside = await slowest();
  over.abort();
  await flood;
  say(
    `${name}: 95 % of a node's batches answered in ${alone.toFixed(0)} ms alone, in ${beside.toFixed(0)} ms beside ${strangers} strangers that flood`,
  );
}

function reporters(count: number, name: string): readonly Reporter[] {
  return Array.from({ length: count }, (_, at) => new Reporter(`${name}-${at}`));
}

/** Enrols them as tokens would: what is measured comes later. */
async function enrolAll(store: string, state: string, nodes: readonly Reporter[]): Promise<void> {
  await using opened = await openStore({ store, state });
  for (let from = 0; from < nodes.length; from += 1000)
    await opened.transact(async (tx) => {
      for (const { cluster, node, key } of nodes.slice(from, from + 1000)) {
        const publicKey = createPublicKey(key);
        const own = { keyId: keyIdOf(publicKey), publicKey: rawPublicKey(publicKey) };
        const facts = { envelope: "{}", former: [], now: Date.now() };
        await tx.enrol({ cluster, node }, own, facts);
      }
    });
}

function bodyOf(node: Reporter, { batches, records }: Pick<Load, "batches" | "records">): Buffer {
  const lines = Array.from({ length: batches }, () =>
    node.batchOf(Array.from({ length: records }, nextAlert)),
  );
  return gzipSync(lines.join(""), { level: 1 });
}

const event = toEvent(judgedOf(), eventContext());

let uuids: UuidClock | undefined;

function nextAlert(): { readonly kind: "alert"; readonly body: unknown } {
  uuids = nextUuidClock(uuids, Date.now());
  const uid = uuidv7(uuids, randomBytes(8));
  return { kind: "alert", body: { ...event, metadata: { ...event.metadata, uid } } };
}

/** Does it for each item, as many at once as there are connections. */
async function inTurn<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: connections }, worker));
}

const agent = new Agent({ keepAlive: true, maxSockets: connections });
const headers = { "content-type": "application/x-ndjson", "content-encoding": "gzip" };

async function post(url: string, body: Buffer): Promise<void> {
  const answer = await ask(url, body);
  if (!answer.startsWith("200 ")) throw new Error(`expected 200, got ${answer}`);
}

/** The answer's status and text. */
async function ask(url: string, body: Buffer): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  request(`${url}/v1/batches`, { method: "POST", headers, agent }, (response) => {
    text(response).then((answer) => resolve(`${response.statusCode} ${answer}`), reject);
  })
    .on("error", reject)
    .end(body);
  return await promise;
}

interface ServingProcess extends AsyncDisposable {
  readonly url: string;
  readonly metric: (name: string) => Promise<number>;
}

async function serve(
  launcher: string,
  { store, state }: { readonly store: string; readonly state: string },
): Promise<ServingProcess> {
  const listen = `127.0.0.1:${await freePort()}`;
  const url = `http://${listen}`;
  const args = ["serve", "--state", state, "--store", store, "--listen", listen];
  const child: ChildProcess = spawn(launcher, args, { stdio: "ignore" });
  await until(async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.ok, 60_000);
  return {
    url,
    metric: async (name) => {
      const metrics = await (await fetch(`${url}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)`, "m").exec(metrics)?.[1] ?? Number.NaN);
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      await ended;
    },
  };
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
