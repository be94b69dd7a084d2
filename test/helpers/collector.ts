import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import pino from "pino";
import { openCollector } from "../../src/collector/collector.ts";
import { makeSecret, tokenDigest } from "../../src/collector/enroll/token.ts";
import type { Admission } from "../../src/collector/enroll/enroll.ts";
import { Feed } from "../../src/collector/feed.ts";
import type { Collector } from "../../src/collector/ingest/receive.ts";
import { createCollectorMetrics } from "../../src/collector/metrics.ts";
import { sessionHash } from "../../src/collector/server/auth.ts";
import { makeServer } from "../../src/collector/server/server.ts";
import { Watchdog } from "../../src/collector/watchdog.ts";
import { sealBatch } from "../../src/core/record/batch.ts";
import { present } from "../../src/core/present.ts";
import { genesisHead, link } from "../../src/core/record/chain.ts";
import type { Head, Linked, RecordKind } from "../../src/core/record/chain.ts";
import { rawPublicKey } from "../../src/core/record/dsse.ts";
import { sealEnrolment } from "../../src/core/record/enrolment.ts";
import { sealHeartbeat } from "../../src/core/record/heartbeat.ts";
import type { Heartbeat } from "../../src/core/record/heartbeat.ts";
import { alterRecords } from "./altered.ts";
import type { Alteration } from "./altered.ts";
import { post } from "./http.ts";
import type { Reply } from "./http.ts";

type Json = Readonly<Record<string, unknown>>;

/** A collector that listens on 127.0.0.1, with a directory of its own. */
export interface Serving extends AsyncDisposable {
  readonly url: string;
  readonly collector: Collector;
  /** A bearer token of the API. */
  readonly token: string;
  /** Milliseconds by which the collector's clock is ahead. */
  skew: number;
  /** GET with a bearer token. */
  read(path: string): Promise<{ readonly status: number; readonly body: Json }>;
  /** The body of a GET with a bearer token. */
  text(path: string): Promise<string>;
  /** The types of all alerts, oldest first. */
  types(): Promise<readonly string[]>;
  joinToken(node: string, ttl?: number): Promise<string>;
  /** Runs SQL on the database behind the collector's back. */
  alter(sql: string): void;
  alterRecords(alter: Alteration): void;
}

interface StartOptions {
  readonly watchdog?: boolean;
  /** Kept at the end. Default: a directory of its own, which is removed. */
  readonly state?: string;
  /** Default: SQLite in the state directory. */
  readonly store?: string;
  readonly admission?: Admission;
  readonly searchLimit?: number;
  readonly runbook?: string;
}

export async function startCollector(options: StartOptions = {}): Promise<Serving> {
  const state = options.state ?? mkdtempSync(join(tmpdir(), "fim-collector-"));
  let skew = 0;
  const clock = (): number => Date.now() + skew;
  const { store: where, admission, searchLimit } = options;
  const settings = {
    state,
    name: "test",
    ...(where !== undefined && { store: where }),
    ...(admission && { admission }),
    ...(searchLimit !== undefined && { searchLimit }),
  };
  const collector = await openCollector(settings, clock);
  const feed = new Feed();
  const log = pino({ level: "silent" });
  const { store } = collector;
  const metrics = createCollectorMetrics({ store, clock, followers: () => feed.size });
  const server = await makeServer(
    present({ collector, feed, metrics, log, runbook: options.runbook }),
  );
  const token = makeSecret("fimapi");
  await store.users.add("tester", undefined, 0);
  await store.users.addSession(sessionHash(token), { user: "tester", kind: "token", created: 0 });
  const serving: Serving = {
    url: await (async () => await server.listen({ host: "127.0.0.1", port: 0 }))(),
    collector,
    token,
    get skew() {
      return skew;
    },
    set skew(ms) {
      skew = ms;
    },
    read: async (path) => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(`${serving.url}${path}`, { headers });
      return { status: answer.status, body: (await answer.json()) as Json };
    },
    text: async (path) => {
      const headers = { authorization: `Bearer ${token}` };
      return await (await fetch(`${serving.url}${path}`, { headers })).text();
    },
    types: async () => {
      const { body } = await serving.read("/v1/alerts?limit=1000");
      const items = body["items"] as readonly { collector: { type: string } }[];
      return items.map((one) => one.collector.type).toReversed();
    },
    joinToken: async (node, ttl = 3_600_000) => {
      const secret = makeSecret("fimjoin");
      await store.addToken(tokenDigest(secret), { node, expires: clock() + ttl });
      return secret;
    },
    alter: (sql) => {
      const db = new Database(join(state, "collector.db"));
      db.exec(sql);
      db.close();
    },
    alterRecords: (alter) => {
      const db = new Database(join(state, "collector.db"));
      alterRecords(db, alter);
      db.close();
    },
    [Symbol.asyncDispose]: async () => {
      await watchdog?.[Symbol.asyncDispose]();
      await server.close();
      await collector[Symbol.asyncDispose]();
      if (options.state === undefined) rmSync(state, { recursive: true, force: true });
    },
  };
  const watchdog = options.watchdog === true ? new Watchdog({ collector, feed, log }) : undefined;
  return serving;
}

/** A node that signs for real: its key, its chain, and where it is in it. Copies of it are clones. */
export class Reporter {
  readonly node: string;
  readonly cluster: string;
  key: KeyObject;
  /** Former public keys, newest first. */
  past: KeyObject[] = [];
  chain: string;
  head: Head;

  constructor(node = "cp-1", { key = newKey(), cluster = "prod" } = {}) {
    this.node = node;
    this.cluster = cluster;
    this.key = key;
    this.chain = `${cluster}/${node}/${randomBytes(8).toString("hex")}`;
    this.head = genesisHead(rawPublicKey(createPublicKey(key)));
  }

  clone(): Reporter {
    return Object.assign(new Reporter(this.node, { key: this.key, cluster: this.cluster }), {
      chain: this.chain,
      head: this.head,
    });
  }

  /** A signed batch with this many alerts, as the lines that are sent. */
  batch(count = 1, key: KeyObject = this.key): string {
    return this.batchOf(
      Array.from({ length: count }, () => alert(this.node)),
      key,
    );
  }

  batchOf(
    entries: readonly { readonly kind: RecordKind; readonly body: unknown }[],
    key: KeyObject = this.key,
  ): string {
    const at = new Date().toISOString();
    const prev = this.head;
    const records: Linked[] = [];
    for (const entry of entries) {
      const linked = link(this.head, this.chain, { at, ...entry });
      records.push(linked);
      this.head = { seq: linked.seq, hash: linked.hash };
    }
    const { seq: last, hash: head } = this.head;
    const batch = { chain: this.chain, first: prev.seq + 1, last, prev: prev.hash, head, at };
    const lines = [JSON.stringify(sealBatch(batch, key)), ...records.map((one) => one.bytes)];
    return `${lines.join("\n")}\n`;
  }

  heartbeat(nonce: string, more: Partial<Heartbeat> = {}): string {
    const heartbeat: Heartbeat = {
      v: 1,
      chain: this.chain,
      seq: this.head.seq,
      head: this.head.hash,
      at: new Date().toISOString(),
      nonce,
      every: 30_000,
      version: "0.1.0",
      baseline: { counter: 1, digest: "aa", rows: 3 },
      policy: { name: "kubeadm", digest: "bb" },
      engine: "fanotify",
      attribution: "full",
      watched: 3,
      drift: { info: 0, low: 0, medium: 0, high: 0, critical: 0 },
      degraded: [],
      waiting: { records: 0, bytes: 0 },
      ...more,
    };
    return `${JSON.stringify(sealHeartbeat(heartbeat, this.key))}\n`;
  }

  enrolmentKeys() {
    return { privateKey: this.key, publicKey: createPublicKey(this.key), past: this.past };
  }

  async enrol(serving: Serving, token?: string): Promise<Reply> {
    return await this.enrolAt(serving.url, token ?? (await serving.joinToken(this.node)));
  }

  async enrolAt(url: string, given: string): Promise<Reply> {
    const { node, cluster } = this;
    const nonce = await nonceOf({ url });
    const at = new Date().toISOString();
    const enrolment = sealEnrolment({ node, cluster, nonce, at }, given, this.enrolmentKeys());
    const body = JSON.stringify({ enrolment, token: given });
    return await post(`${url}/v1/enroll`, body, { "content-type": "application/json" });
  }
}

export async function nonceOf({ url }: Pick<Serving, "url">): Promise<string> {
  const { nonce } = (await (await fetch(`${url}/v1/nonce`)).json()) as { nonce: string };
  return nonce;
}

/** POST /v1/batches. */
export async function send(
  { url }: Pick<Serving, "url">,
  lines: string,
  headers: Record<string, string> = {},
): Promise<{ readonly status: number; readonly body: Json }> {
  const type = { "content-type": "application/x-ndjson" };
  const { status, body } = await post(`${url}/v1/batches`, lines, { ...type, ...headers });
  return { status, body: JSON.parse(body) as Json };
}

export function newKey(): KeyObject {
  return generateKeyPairSync("ed25519").privateKey;
}

export function alert(node: string, more: Json = {}): { kind: RecordKind; body: Json } {
  const path = "/etc/kubernetes/admin.conf";
  const fim = { path, change: "modified", rule: "kubeadm/kubeconfigs", severity: "high", ...more };
  const uid = `0199${randomBytes(14).toString("hex")}`;
  const body = {
    class_uid: 1001,
    severity_id: 4,
    time: Date.now(),
    message: `${node}: modified ${path}`,
    metadata: { uid },
    unmapped: { fim },
  };
  return { kind: "alert", body };
}
