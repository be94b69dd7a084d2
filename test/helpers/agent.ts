import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { freePort, get } from "./http.ts";
import { until, within } from "./wait.ts";

/** The exit code of an error that nothing expects. */
const bug = 70;
const launcher = join(import.meta.dirname, "../../bin/fim-agent");

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Milliseconds until the run is killed and the test fails. */
  readonly deadline?: number;
}

/** Runs bin/fim-agent to its end. */
export async function runAgent(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = spawn(launcher, args, {
    env: environment(options.env),
    cwd: options.cwd ?? tmpdir(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const all = Promise.all([exitOf(child), text(child.stdout), text(child.stderr)]);
  try {
    const what = `fim-agent ${args.join(" ")}`;
    const [code, stdout, stderr] = await within(all, options.deadline ?? 60_000, what);
    return { code, stdout, stderr };
  } finally {
    child.kill("SIGKILL");
  }
}

interface WatchOptions {
  readonly root: string;
  readonly state: string;
  readonly policy?: string;
  /** What is given to --config: webhooks, watch, outbox, collector. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly engine?: "auto" | "fanotify" | "chokidar" | "sweep";
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Another program in the place of bin/fim-agent. */
  readonly program?: string;
  /** Milliseconds until it must be ready. */
  readonly deadline?: number;
}

export interface Watching {
  readonly pid: number;
  readonly listen: string;
  /** The lines of stderr so far. */
  readonly lines: readonly string[];
  /** Those of them that are log records. */
  logs(): readonly Readonly<Record<string, unknown>>[];
  /** Every sample of /metrics: 'fim_hints_total{engine="fanotify"}' -> value. */
  metrics(): Promise<ReadonlyMap<string, number>>;
  /** SIGTERM, and its exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL, and awaits its end. */
  kill9(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts `fim-agent watch` and awaits that /readyz answers 200. */
export async function startWatch(options: WatchOptions): Promise<Watching> {
  const listen = `127.0.0.1:${await freePort()}`;
  const place = mkdtempSync(join(tmpdir(), "fim-config-"));
  const child = spawn(options.program ?? launcher, argumentsOf(options, place, listen), {
    env: environment(options.env),
    stdio: ["ignore", "ignore", "pipe"],
  });
  const killAtExit = (): boolean => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const exited = exitOf(child).finally(() => {
    process.removeListener("exit", killAtExit);
    rmSync(place, { recursive: true, force: true });
  });
  const lines = linesOf(child);
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<number | null> => {
    child.kill(signal);
    const code = await within(exited, 30_000, `fim-agent watch after ${signal}`).finally(
      killAtExit,
    );
    if (code === bug) throw new Error(`a bug ended the agent:\n${lines.slice(-20).join("\n")}`);
    return code;
  };
  const watching: Watching = {
    pid: child.pid ?? 0,
    listen,
    lines,
    logs: () => lines.flatMap(parseRecord),
    metrics: async () => parseMetrics((await get(`http://${listen}/metrics`)).body),
    stop: async () => await end("SIGTERM"),
    kill9: async () => void (await end("SIGKILL")),
    [Symbol.asyncDispose]: async () => void (await end("SIGKILL")),
  };
  try {
    await until(async () => {
      if (hasEnded(child))
        throw new Error(`watch ended with ${child.exitCode}:\n${lines.join("\n")}`);
      const reply = await get(`http://${listen}/readyz`).catch(() => undefined);
      return reply?.status === 200;
    }, options.deadline ?? 60_000);
    return watching;
  } catch (error) {
    await watching.kill9();
    throw new Error(`watch was not ready:\n${lines.slice(-20).join("\n")}`, { cause: error });
  }
}

function argumentsOf(options: WatchOptions, place: string, listen: string): readonly string[] {
  const args = ["watch", "--root", options.root, "--state", options.state, "--listen", listen];
  if (options.policy !== undefined) args.push("--policy", options.policy);
  if (options.engine !== undefined) args.push("--engine", options.engine);
  if (options.config !== undefined) {
    // JSON is YAML 1.2 too.
    const file = join(place, "config.yaml");
    writeFileSync(file, JSON.stringify(options.config), { mode: 0o600 });
    args.push("--config", file);
  }
  return [...args, ...(options.args ?? [])];
}

/** This process's environment without the settings of an agent that may be meant for another run. */
function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("FIM_") && name !== "NODE_OPTIONS",
  );
  return { ...Object.fromEntries(kept), FIM_DEBUG: "1", ...extra };
}

const hasEnded = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

async function exitOf(child: ChildProcess): Promise<number | null> {
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject).once("close", (code) => resolve(code));
  return await promise;
}

function linesOf(child: ChildProcess): readonly string[] {
  const lines: string[] = [];
  let rest = "";
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    lines.push(...parts);
  });
  return lines;
}

function parseRecord(line: string): readonly Record<string, unknown>[] {
  if (!line.startsWith("{")) return [];
  try {
    return [JSON.parse(line) as Record<string, unknown>];
  } catch {
    return [];
  }
}

/** The samples of the Prometheus text format. */
function parseMetrics(body: string): ReadonlyMap<string, number> {
  const samples = body.matchAll(/^([a-z_:][\w:]*(?:\{.*\})?) (\S+)(?: \d+)?$/gim);
  return new Map([...samples].map(([, name, value]) => [name ?? "", Number(value)]));
}
