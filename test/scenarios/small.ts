import Database from "better-sqlite3";
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { accessSync, constants, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseRecord } from "../../src/core/record/chain.ts";
import { parseRow } from "../../src/core/change/observation.ts";
import type { Observation } from "../../src/core/change/observation.ts";
import type { Severity } from "../../src/core/policy/rule.ts";
import type { ChangeObject } from "../../src/core/text/change-json.ts";
import { openGroup } from "../../src/linux/fanotify.ts";
import { close } from "../../src/linux/files.ts";
import { runAgent, startWatch } from "../helpers/agent.ts";
import type { Watching } from "../helpers/agent.ts";
import { startReceiver } from "../helpers/receiver.ts";
import type { Receiver } from "../helpers/receiver.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";

export type Alert = ChangeObject;

/** What stands in the place of a rule that the caller gives only in part. */
interface SmallRule {
  readonly id: string;
  readonly paths: readonly string[];
  readonly severity: Severity;
  readonly class?: string;
  readonly writers?: readonly string[];
}

interface SmallOptions {
  readonly rules: readonly SmallRule[] | ((ground: Ground) => readonly SmallRule[]);
  /** The node is this machine: its root is "/", and only what the rules name is in the test's own directory. */
  readonly isMachine?: true;
  /** Before the baseline is captured. */
  readonly prepare?: (small: Ground) => void;
  /** What starts the agent, in the place of bin/fim-agent. */
  readonly program?: (small: Ground) => string;
  /** Where the running agent sees the node's root. */
  readonly seenAt?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly minSeverity?: Severity;
}

export interface Ground {
  /** Of the test alone. */
  readonly dir: string;
  readonly state: string;
  /** A path as the node has it -> where it lies here. */
  at(path: string): string;
  /** A path below the test's own tree -> what the node calls it. */
  called(path: string): string;
  write(path: string, text: string): void;
}

/** A few files, a few rules, an agent whose engine is fanotify, and the receiver of its alerts. */
export interface SmallNode extends Ground, AsyncDisposable {
  readonly watching: Watching;
  readonly receiver: Receiver;
  alerts(): readonly Alert[];
  events(): readonly string[];
  /** Awaits the first alert that is as wanted, after that many. */
  alerted(isWanted: (alert: Alert) => boolean, after?: number): Promise<Alert>;
  /** What the agent's database says of each path. */
  current(): ReadonlyMap<string, Observation>;
  run(...args: readonly string[]): ReturnType<typeof runAgent>;
}

/** Why these scenarios cannot run here, or undefined. */
export const fanotifyMissing = whyNot();

export async function startSmall(options: SmallOptions): Promise<SmallNode> {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(makePlace());
  const tree = place.at("root");
  const root = options.isMachine ? "/" : tree;
  const state = place.at("state");
  const at = (path: string): string => join(tree, path);
  const ground: Ground = {
    dir: place.dir,
    state,
    at,
    called: (path) => (options.isMachine ? at(path) : path),
    write: (path, text) => {
      mkdirSync(dirname(at(path)), { recursive: true });
      writeFileSync(at(path), text);
    },
  };
  mkdirSync(tree);
  options.prepare?.(ground);
  const policy = place.at("policy.yaml");
  writeFileSync(
    policy,
    policyOf(typeof options.rules === "function" ? options.rules(ground) : options.rules),
  );
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  writeFileSync(place.at("webhook.key"), `${secret}\n`, { mode: 0o600 });
  const program = options.program?.(ground);
  const run = async (...more: readonly string[]) =>
    await runAgent([...more, "--root", root, "--state", state, "--policy", policy]);
  const { code, stderr } = await run("baseline");
  if (code !== 0) throw new Error(`baseline ended with ${code}: ${stderr}`);
  const receiver = stack.use(await startReceiver({ secrets: [secret] }));
  const webhook = {
    url: receiver.url,
    secret: place.at("webhook.key"),
    ...(options.minSeverity && { minSeverity: options.minSeverity }),
  };
  const watching = stack.use(
    await startWatch({
      root: options.seenAt ?? root,
      state,
      policy,
      engine: "fanotify",
      ...(program !== undefined && { program }),
      // So far apart that whatever is reported was reported by an event.
      config: { webhooks: [webhook], watch: { quickSweepEvery: "10m" }, ...options.config },
    }),
  );
  const alerts = (): readonly Alert[] => receiver.accepted().flatMap(({ data }) => alertOf(data));
  const owned = stack.move();
  return {
    ...ground,
    watching,
    receiver,
    alerts,
    run,
    events: () => receiver.accepted().map(({ type }) => type),
    alerted: async (isWanted, after = 0) => {
      try {
        return await until(() => alerts().slice(after).find(isWanted), 30_000);
      } catch (cause) {
        const found = inShort(alerts().slice(after)).join("\n");
        const said = watching.lines.slice(-10).join("\n");
        throw new Error(`not alerted: ${isWanted.toString()}; but:\n${found}\n${said}`, { cause });
      }
    },
    current: () => readCurrent(state),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

/** For the message of an assertion. */
export const inShort = (alerts: readonly Alert[]): readonly string[] =>
  alerts.map(
    ({ path, change, fields, steps, from, via, severity }) =>
      `${severity} ${change} ${path} ${[fields ?? steps, from, via].join(" ")}`,
  );

function alertOf(data: Readonly<Record<string, unknown>>): readonly Alert[] {
  const fim = (data["unmapped"] as { readonly fim?: Alert } | undefined)?.fim;
  return fim ? [fim] : [];
}

function readCurrent(state: string): ReadonlyMap<string, Observation> {
  const db = new Database(join(state, "fim.db"), { readonly: true, timeout: 10_000 });
  try {
    const rows = db
      .prepare<[], { path: Buffer; row: Buffer }>("SELECT path, row FROM current")
      .all();
    return new Map(rows.map(({ path, row }) => [path.toString(), parseRow(row.toString())]));
  } finally {
    db.close();
  }
}

/** The alerts that the chain holds, in its order. */
export function chainOf(state: string): readonly Alert[] {
  const db = new Database(join(state, "fim.db"), { readonly: true, timeout: 10_000 });
  try {
    const rows = db.prepare<[], Buffer>("SELECT bytes FROM record ORDER BY seq").pluck().iterate();
    return [...rows].flatMap((bytes) => {
      const record = parseRecord(bytes);
      return record?.kind === "alert" ? alertOf(record.body as Record<string, unknown>) : [];
    });
  } finally {
    db.close();
  }
}

/** Keeps both cores of a small machine and more busy until it is disposed of. */
export function busyLoops(count: number): Disposable {
  const loops = Array.from({ length: count }, () =>
    spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" }),
  );
  return {
    [Symbol.dispose]: () => {
      for (const loop of loops) loop.kill("SIGKILL");
    },
  };
}

/** Awaits the end of a process that must end well; its standard output. */
export async function outputOf(child: ChildProcess): Promise<string> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject).once("close", resolve);
  });
  if (code !== 0) {
    const said = Buffer.concat(err).toString();
    throw new Error(`${child.spawnargs.join(" ").slice(0, 200)} ended with ${code}: ${said}`);
  }
  return Buffer.concat(out).toString();
}

/** The program's own file, no link to it; undefined when there is none. */
export function programOf(name: string): string | undefined {
  const path = `/usr/bin/${name}`;
  try {
    accessSync(path, constants.X_OK);
    return execFileSync("readlink", ["-f", path], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}

function policyOf(rules: readonly SmallRule[]): string {
  const full = rules.map((rule) => ({
    class: "immutable",
    why: "It is watched for a test.",
    ...rule,
  }));
  // JSON is YAML 1.2 too.
  return JSON.stringify({ name: "small", description: "A small node for a test", rules: full });
}

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root: fanotify with pids, mounts, namespaces";
  try {
    close(openGroup().fd);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
