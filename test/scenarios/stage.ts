import Database from "better-sqlite3";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseRecord } from "../../src/core/record/chain.ts";
import type { Severity } from "../../src/core/policy/rule.ts";
import { runAgent, startWatch } from "../helpers/agent.ts";
import type { Watching } from "../helpers/agent.ts";
import { startReceiver } from "../helpers/receiver.ts";
import type { Receiver, ReceiverOptions } from "../helpers/receiver.ts";
import { makePlace } from "../helpers/tree.ts";

/** A small node of its own, its policy, its agent's state and the key of its webhooks. */
export interface Stage extends Disposable {
  readonly dir: string;
  readonly root: string;
  readonly state: string;
  readonly policy: string;
  readonly secret: string;
  readonly secretFile: string;
  /** A path as the node has it -> where it lies here. */
  at(path: string): string;
  write(path: string, text: string): void;
  /** What every command is given. */
  readonly args: readonly string[];
  capture(): Promise<void>;
  run(...args: readonly string[]): ReturnType<typeof runAgent>;
  receiver(options?: ReceiverOptions): Promise<Receiver>;
  watch(options?: WatchOptions): Promise<Watching>;
  /** What the chain holds now for webhooks, in its order. */
  records(): readonly ChainEntry[];
  /** Opens the agent's database; it is closed after the call. */
  query(sql: string): readonly Row[];
}

interface WatchOptions {
  readonly webhooks?: readonly Webhook[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly engine?: "chokidar" | "sweep";
  readonly args?: readonly string[];
  readonly policy?: string;
}

interface Webhook {
  readonly url: string;
  readonly secret: string;
  readonly minSeverity?: Severity;
}

type Row = Readonly<Record<string, unknown>>;

interface ChainEntry {
  readonly seq: number;
  readonly id: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Paths -> severity. */
export type Rules = Readonly<Record<string, Severity>>;

export function makeStage(rules: Rules): Stage {
  const place = makePlace();
  const root = place.at("root");
  const state = place.at("state");
  const policy = place.at("policy.yaml");
  const secretFile = place.at("webhook.key");
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  mkdirSync(root);
  writePolicy(policy, rules);
  writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 });
  const args = ["--root", root, "--state", state, "--policy", policy];
  const at = (path: string): string => join(root, path);
  const run = async (...more: readonly string[]) => await runAgent([...more, ...args]);
  const query = (sql: string): readonly Row[] => {
    const db = new Database(join(state, "fim.db"), { timeout: 10_000 });
    try {
      const statement = db.prepare<[], Row>(sql);
      if (statement.reader) return statement.all();
      statement.run();
      return [];
    } finally {
      db.close();
    }
  };
  return {
    dir: place.dir,
    root,
    state,
    policy,
    secret,
    secretFile,
    args,
    at,
    run,
    query,
    write: (path, text) => {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), text);
    },
    capture: async () => {
      const { code, stderr } = await run("baseline");
      if (code !== 0) throw new Error(`baseline ended with ${code}: ${stderr}`);
    },
    receiver: async (options) => await startReceiver({ secrets: [secret], ...options }),
    watch: async ({ webhooks, config, engine, args: more, policy: other } = {}) =>
      await startWatch({
        root,
        state,
        policy: other ?? policy,
        engine: engine ?? "chokidar",
        config: { ...(webhooks && { webhooks }), ...config },
        ...(more && { args: more }),
      }),
    records: () =>
      query("SELECT bytes FROM record ORDER BY seq").flatMap(({ bytes }) =>
        entryOf(bytes as Buffer),
      ),
    [Symbol.dispose]: () => place[Symbol.dispose](),
  };
}

export function writePolicy(file: string, rules: Rules): void {
  const list = Object.entries(rules).map(([path, severity], at) => ({
    id: `rule-${at}`,
    paths: [path],
    class: "immutable",
    severity,
    why: "It is watched for a test.",
  }));
  // JSON is YAML 1.2 too.
  const policy = { name: "stage", description: "A stage for a test", rules: list };
  writeFileSync(file, JSON.stringify(policy));
}

function entryOf(bytes: Buffer): readonly ChainEntry[] {
  const record = parseRecord(bytes);
  const body = record?.body as ChainEntry["body"] | undefined;
  if (!record || !body || record.kind === "genesis" || record.kind === "rekey") return [];
  const { uid } = record.kind === "alert" ? (body["metadata"] as ChainEntry["body"]) : body;
  return [{ seq: record.seq, id: String(uid), body }];
}

/** The change that an alert reports. */
export interface Reported {
  readonly path: string;
  readonly change: string;
  readonly from?: string;
  readonly fields?: readonly string[];
  readonly rule: string;
  readonly severity: Severity;
  readonly count?: number;
  readonly examples?: readonly string[];
  readonly after?: { readonly sha256?: string; readonly mode?: string };
  readonly offline?: true;
}

export function reportedBy(event: Readonly<Record<string, unknown>>): Reported | undefined {
  return (event["unmapped"] as { readonly fim?: Reported } | undefined)?.fim;
}

/** The alerts under the stage's own policy that a receiver accepted, in order. */
export function alertsOf(receiver: Receiver): readonly Reported[] {
  return receiver
    .accepted()
    .map(({ data }) => reportedBy(data))
    .filter((reported) => reported !== undefined)
    .filter(({ rule }) => rule.startsWith("stage/"));
}

/** Types of the accepted events. */
export function typesOf(receiver: Receiver): readonly string[] {
  return receiver.accepted().map(({ type }) => type);
}

/** Starts bin/fim-agent and does not wait for anything: for what happens while it starts. */
export function launch(args: readonly string[]): {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
} {
  const program = join(import.meta.dirname, "../../bin/fim-agent");
  const child = spawn(program, args, { stdio: "ignore" });
  const ended = new Promise<void>((resolve, reject) => {
    child.once("error", reject).once("close", () => resolve());
  });
  return { child, ended };
}

/** Numbers in [0, 1) that a seed repeats (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
