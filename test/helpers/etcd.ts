import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { freePort, get, post } from "./http.ts";
import { missingProgram } from "./missing.ts";
import { until, within } from "./wait.ts";

const program = "/usr/bin/etcd";
const control = "/usr/bin/etcdctl";

/** Why tests with a real etcd cannot run here, or undefined. */
export const etcdMissing = missingProgram(program, control);

export interface EtcdOptions {
  readonly dataDir: string;
  /** Further arguments, such as "--snapshot-count=100". */
  readonly args?: readonly string[];
}

export interface Etcd {
  readonly pid: number;
  readonly url: string;
  put(key: string, value: string): Promise<void>;
  /** This many puts of this many bytes in turn, through etcd's JSON gateway. */
  load(count: number, bytes: number): Promise<void>;
  revision(): Promise<number>;
  compact(revision: number): Promise<void>;
  defragment(): Promise<void>;
  snapshot(file: string): Promise<void>;
  /** SIGTERM, or SIGKILL, and awaits its end. */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts a single etcd on free ports of 127.0.0.1 and awaits that it is healthy. */
export async function startEtcd({ dataDir, args = [] }: EtcdOptions): Promise<Etcd> {
  const [clients, peers] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${clients}`;
  const child = spawn(
    program,
    [
      `--data-dir=${dataDir}`,
      "--name=cp-1",
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=http://127.0.0.1:${peers}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peers}`,
      `--initial-cluster=cp-1=http://127.0.0.1:${peers}`,
      ...args,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let log = "";
  child.stderr.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-4000);
  });
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
  });
  const killAtExit = (): boolean => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  const call = async (...command: string[]): Promise<string> => {
    const env = { ...process.env, ETCDCTL_API: "3" };
    const line = [`--endpoints=${url}`, ...command];
    return (
      await promisify(execFile)(control, ["--command-timeout=60s", ...line], {
        env,
        timeout: 90_000,
      })
    ).stdout;
  };
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> => {
    child.kill(signal);
    await within(exited, 20_000, `etcd after ${signal}`);
    process.removeListener("exit", killAtExit);
  };
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`etcd ended at its start: ${log}`);
    return (await get(`${url}/health`).catch(() => undefined))?.status === 200;
  }, 30_000);
  return {
    pid: child.pid ?? 0,
    url,
    put: async (key, value) => void (await call("put", key, value)),
    load: async (count, bytes) => {
      const value = Buffer.alloc(bytes, "x").toString("base64");
      for (let at = 0; at < count; at += 1) {
        const key = Buffer.from(`/load/${at}`).toString("base64");
        const { status } = await post(`${url}/v3/kv/put`, JSON.stringify({ key, value }));
        if (status !== 200) throw new Error(`etcd answered ${status} to put ${at}`);
      }
    },
    revision: async () => {
      const [member] = JSON.parse(await call("endpoint", "status", "-w", "json")) as [
        { Status: { header: { revision: number } } },
      ];
      return member.Status.header.revision;
    },
    compact: async (revision) => void (await call("compact", String(revision), "--physical")),
    defragment: async () => void (await call("defrag")),
    snapshot: async (file) => void (await call("snapshot", "save", file)),
    stop,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) await stop("SIGKILL");
    },
  };
}
