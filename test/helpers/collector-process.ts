import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { freePort, getUnverified } from "./http.ts";
import type { Reply } from "./http.ts";
import { until } from "./wait.ts";

const launcher = join(import.meta.dirname, "../../bin/fim-collector");

type Json = Readonly<Record<string, unknown>>;

/** What a collector shows of an alert. */
interface Shown extends Json {
  readonly collector: Json & { readonly type: string; readonly uid: string };
  readonly unmapped?: { readonly fim?: Json & { readonly path?: string } };
}

/** bin/fim-collector serve, as its own process on a port of its own. */
export interface CollectorProcess extends AsyncDisposable {
  readonly url: string;
  readonly pid: () => number;
  start(): Promise<void>;
  /** SIGKILL, and its end. */
  kill9(): Promise<void>;
  /** SIGTERM, and its exit code. */
  stop(): Promise<number | null>;
  run(
    ...args: readonly string[]
  ): Promise<{ readonly code: number | null; readonly stdout: string }>;
  /** Every alert so far, oldest first. */
  alerts(): Promise<readonly Shown[]>;
  nodes(): Promise<readonly Json[]>;
}

export interface ProcessOptions {
  /** On every address, where it makes its own certificate. `url` then leads to it by HTTPS. */
  readonly isPublic?: boolean;
  /** A network namespace (ip-netns(8)) and its address, where it listens with HTTPS. */
  readonly network?: { readonly namespace: string; readonly host: string };
  /** More of the command line. */
  readonly args?: readonly string[];
}

export async function startCollectorProcess(
  state: string,
  { isPublic = false, network, args: more = [] }: ProcessOptions = {},
): Promise<CollectorProcess> {
  const port = await freePort();
  const listen = `${isPublic || network ? "0.0.0.0" : "127.0.0.1"}:${port}`;
  const url = `${isPublic || network ? "https" : "http"}://${network?.host ?? "127.0.0.1"}:${port}`;
  const [program = launcher, ...before] = network
    ? ["nsenter", `--net=/run/netns/${network.namespace}`, launcher]
    : [launcher];
  let child: ChildProcess | undefined;
  const end = async (signal: "SIGTERM" | "SIGKILL"): Promise<number | null> => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = once(child, "exit");
    child.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  };
  const killAtExit = (): unknown => child?.kill("SIGKILL");
  process.once("exit", killAtExit);
  const run: CollectorProcess["run"] = async (...args) => {
    const one = spawn(launcher, [...args, "--state", state], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [stdout, [code]] = await Promise.all([text(one.stdout), once(one, "close")]);
    return { code: code as number | null, stdout: stdout.trim() };
  };
  const ask = async (path: string, headers = {}): Promise<Reply> =>
    await getUnverified(`${url}${path}`, headers);
  let token = "";
  const read = async (path: string): Promise<Json> => {
    const { body } = await ask(path, { authorization: `Bearer ${token}` });
    return JSON.parse(body) as Json;
  };
  const collector: CollectorProcess = {
    url,
    pid: () => child?.pid ?? 0,
    start: async () => {
      const args = ["serve", "--state", state, "--listen", listen, ...more];
      const started = spawn(program, [...before, ...args], { stdio: ["ignore", "ignore", "pipe"] });
      child = started;
      let said = "";
      started.stderr.setEncoding("utf8").on("data", (chunk: string) => (said += chunk));
      await until(async () => {
        if (started.exitCode !== null) throw new Error(`the collector ended: ${said}`);
        return (await ask("/readyz").catch(() => undefined))?.status === 200;
      }, 30_000);
    },
    kill9: async () => void (await end("SIGKILL")),
    stop: async () => await end("SIGTERM"),
    run,
    alerts: async () => {
      const all: Shown[] = [];
      for (let next: unknown = ""; typeof next === "string";) {
        const page = await read(`/v1/alerts?limit=1000${next === "" ? "" : `&cursor=${next}`}`);
        all.push(...(page["items"] as Shown[]));
        next = page["next"];
      }
      return all.toReversed();
    },
    nodes: async () => (await read("/v1/nodes"))["items"] as readonly Json[],
    [Symbol.asyncDispose]: async () => {
      await end("SIGKILL");
      process.removeListener("exit", killAtExit);
    },
  };
  await collector.start();
  token = (await run("user", "add", "tester", "--token")).stdout;
  return collector;
}

/** A join token in a file; the agent's `collector` setting by which it joins with it. */
export async function joinBy(
  collector: CollectorProcess,
  joinToken: string,
): Promise<{ readonly url: string; readonly joinToken: string }> {
  const { stdout } = await collector.run("token", "--node", hostname());
  writeFileSync(joinToken, stdout, { mode: 0o600 });
  return { url: collector.url, joinToken };
}
