import Database from "better-sqlite3";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseRow } from "../../src/core/change/observation.ts";
import type { Observation } from "../../src/core/change/observation.ts";
import type { Severity } from "../../src/core/policy/rule.ts";
import { parseRecord } from "../../src/core/record/chain.ts";
import type { ChangeObject } from "../../src/core/text/change-json.ts";
import { runAgent, startWatch } from "./agent.ts";
import type { Watching } from "./agent.ts";
import { startReceiver } from "./receiver.ts";
import type { Receiver, ReceiverOptions } from "./receiver.ts";
import { makeControlPlane, makePlace } from "./tree.ts";

/** Where a node's files lie. */
export interface Ground {
  /** A directory of the test alone. */
  readonly dir: string;
  readonly root: string;
  readonly state: string;
  /** A path as the node has it -> where it lies here. */
  readonly at: (path: string) => string;
  /** A path below the test's own tree -> the node's name for it. */
  readonly called: (path: string) => string;
  /** A path of the test's own that is not on the node. */
  readonly beside: (name: string) => string;
  readonly write: (path: string, text: string) => void;
}

/** A node of the test's own, its policy, its agent's state and the key of its webhooks. No agent runs yet. */
export interface TestNode extends Ground, Disposable {
  /** The file of the node's own policy. */
  readonly policy: string;
  readonly secret: string;
  readonly secretFile: string;
  /** Where the node is, for every command. */
  readonly args: readonly string[];
  capture(): Promise<void>;
  run(...args: readonly string[]): ReturnType<typeof runAgent>;
  startReceiver(options?: ReceiverOptions): Promise<Receiver>;
  watch(options?: WatchOptions): Promise<Watching>;
  /** The chain's records of alerts and events, in its order. */
  records(): readonly ChainEntry[];
  /** The state of each path as the agent's database has it. */
  current(): ReadonlyMap<string, Observation>;
  /** Opens the agent's database and closes it after the call. */
  query(sql: string): readonly Row[];
}

export interface NodeOptions {
  /** As kubeadm makes it. Absent: an empty tree. */
  readonly tree?: "control-plane";
  /** Absent: the policy that is detected. */
  readonly rules?: Rules | ((ground: Ground) => Rules);
  /** A shipped policy, in the place of rules. */
  readonly policy?: string;
  /** The node is this machine: its root is "/", and only what the rules name is in the test's own directory. */
  readonly isMachine?: true;
}

export interface WatchOptions {
  /** Standard ones, or entries as a configuration file has them. */
  readonly webhooks?: readonly (Webhook | Readonly<Record<string, unknown>>)[];
  readonly config?: Readonly<Record<string, unknown>>;
  readonly engine?: "auto" | "chokidar" | "fanotify" | "sweep";
  readonly args?: readonly string[];
  readonly policy?: string;
  /** Where the running agent sees the node's root. */
  readonly seenAt?: string;
  /** Another program in the place of bin/fim-agent. */
  readonly program?: string;
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

/** Paths with their severity, or rules that the test gives only in part. */
export type Rules = Readonly<Record<string, Severity>> | readonly PartialRule[];

export interface PartialRule {
  readonly id: string;
  readonly paths: readonly string[];
  readonly severity: Severity;
  readonly class?: string;
  readonly writers?: readonly string[];
  readonly containerWriters?: true | "static";
}

/** An alert as it arrived, or as the chain holds it. */
export interface Alert extends ChangeObject {
  readonly event: Readonly<Record<string, unknown>>;
}

export function makeNode(options: NodeOptions): TestNode {
  const place = makePlace();
  const ground = groundOf(place.dir, options);
  const policy = place.at("policy.yaml");
  const secretFile = place.at("webhook.key");
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  mkdirSync(place.at("root"));
  if (options.tree) makeControlPlane(place.at("root"));
  const { rules } = options;
  if (rules) writePolicy(policy, typeof rules === "function" ? rules(ground) : rules);
  writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 });
  const named = options.policy ?? (rules && policy);
  const { root, state } = ground;
  const args = ["--root", root, "--state", state, ...(named ? ["--policy", named] : [])];
  const run = async (...more: readonly string[]) => await runAgent([...more, ...args]);
  return {
    ...ground,
    policy,
    secret,
    secretFile,
    args,
    run,
    capture: async () => {
      const { code, stderr } = await run("baseline");
      if (code !== 0) throw new Error(`baseline ended with ${code}: ${stderr}`);
    },
    startReceiver: async (more) => await startReceiver({ secrets: [secret], ...more }),
    watch: async ({ webhooks, config, seenAt, policy: other = named, ...more } = {}) =>
      await startWatch({
        root: seenAt ?? root,
        state,
        ...(other && { policy: other }),
        engine: "chokidar",
        config: { ...(webhooks && { webhooks }), ...config },
        ...more,
      }),
    query: (sql) => query(state, sql),
    records: () => rowsOfChain(state).flatMap((bytes) => entryOf(bytes)),
    current: () =>
      new Map(
        query(state, "SELECT path, row FROM current").map(({ path, row }) => [
          String(path as Buffer),
          parseRow(String(row as Buffer)),
        ]),
      ),
    [Symbol.dispose]: () => place[Symbol.dispose](),
  };
}

function groundOf(dir: string, { isMachine }: NodeOptions): Ground {
  const at = (path: string): string => join(dir, "root", path);
  return {
    dir,
    root: isMachine ? "/" : join(dir, "root"),
    state: join(dir, "state"),
    at,
    called: (path) => (isMachine ? at(path) : path),
    beside: (name) => join(dir, name),
    write: (path, text) => {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), text);
    },
  };
}

/** Writes a policy named "test" with these rules, completed. */
export function writePolicy(file: string, rules: Rules): void {
  const given = isList(rules)
    ? rules
    : Object.entries(rules).map(([path, severity], at) => ({
        id: `rule-${at}`,
        paths: [path],
        severity,
      }));
  const whole = given.map((rule) => ({
    class: "immutable",
    why: "It is watched for a test.",
    ...rule,
  }));
  // JSON is YAML 1.2 too.
  const policy = { name: "test", description: "A node for a test", rules: whole };
  writeFileSync(file, JSON.stringify(policy));
}

function isList(rules: Rules): rules is readonly PartialRule[] {
  return Array.isArray(rules);
}

function query(state: string, sql: string): readonly Row[] {
  const db = new Database(join(state, "fim.db"), { timeout: 10_000 });
  try {
    const statement = db.prepare<[], Row>(sql);
    if (statement.reader) return statement.all();
    statement.run();
    return [];
  } finally {
    db.close();
  }
}

function rowsOfChain(state: string): readonly Buffer[] {
  return query(state, "SELECT bytes FROM record ORDER BY seq").map(({ bytes }) => bytes as Buffer);
}

/** Kinds of records that no webhook carries. */
const isSilent: ReadonlySet<string> = new Set(["approval", "genesis", "rekey"]);

function entryOf(bytes: Buffer): readonly ChainEntry[] {
  const record = parseRecord(bytes);
  const body = record?.body as ChainEntry["body"] | undefined;
  if (!record || !body || isSilent.has(record.kind)) return [];
  const { uid } = record.kind === "alert" ? (body["metadata"] as ChainEntry["body"]) : body;
  return [{ seq: record.seq, id: String(uid), body }];
}

/** The alerts that the chain holds, in its order. */
export function chainOf(state: string): readonly Alert[] {
  return rowsOfChain(state).flatMap((bytes) => {
    const record = parseRecord(bytes);
    if (record?.kind !== "alert") return [];
    return reportedBy(record.body as Record<string, unknown>) ?? [];
  });
}

/** Undefined: the event reports no change. */
export function reportedBy(event: Readonly<Record<string, unknown>>): Alert | undefined {
  const fim = (event["unmapped"] as { readonly fim?: ChangeObject } | undefined)?.fim;
  return fim && { ...fim, event };
}

/** The alerts under the test's own policy that a receiver accepted, in order. */
export function alertsOf(receiver: Receiver): readonly Alert[] {
  return receiver
    .accepted()
    .flatMap(({ data }) => reportedBy(data) ?? [])
    .filter(({ rule }) => rule.startsWith("test/"));
}

/** Types of the accepted events. */
export function typesOf(receiver: Receiver): readonly string[] {
  return receiver.accepted().map(({ type }) => type);
}

/** For the message of an assertion. */
export const inShort = (alerts: readonly Alert[]): readonly string[] =>
  alerts.map(
    ({ path, change, fields, from, via, steps, severity, verdict }) =>
      `${severity} ${verdict} ${change} ${path} ${[fields ?? steps, from, via].join(" ")}`,
  );
