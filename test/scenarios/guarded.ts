import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import type { ChangeObject } from "../../src/core/text/change-json.ts";
import { isAtLeast } from "../../src/core/policy/rule.ts";
import { runAgent, startWatch } from "../helpers/agent.ts";
import type { Watching } from "../helpers/agent.ts";
import { startReceiver } from "../helpers/receiver.ts";
import type { Receiver } from "../helpers/receiver.ts";
import { makeControlPlane, makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";

/** An alert as it arrived. */
export interface Alert extends ChangeObject {
  readonly event: Readonly<Record<string, unknown>>;
}

interface GuardedOptions {
  readonly engine: "auto" | "chokidar" | "sweep";
  /** Before the baseline is captured. */
  readonly prepare?: (at: (path: string) => string) => void | Promise<void>;
  readonly watch?: Readonly<Record<string, string>>;
  /** What starts the agent, in the place of bin/fim-agent. */
  readonly program?: string;
}

/** A control-plane node with a baseline, a running agent and the receiver of its alerts. */
export interface Guarded extends AsyncDisposable {
  /** A path as the node has it -> where it lies here. */
  at(path: string): string;
  /** A path of the test's own, which is not on the node. */
  beside(name: string): string;
  readonly root: string;
  readonly state: string;
  readonly watching: Watching;
  /** Starts the agent once more, when it has ended. */
  again(): Promise<Watching>;
  readonly receiver: Receiver;
  /** Every alert about the node so far, the marks' own left out. */
  alerts(): readonly Alert[];
  /** Types of what the agent said of itself. */
  events(): readonly string[];
  /** Makes a change that is alerted after all that was before: everything is swept, and a marker arrives. */
  settle(): Promise<void>;
  /** Awaits the first alert that is as wanted, after that many. */
  alerted(isWanted: (alert: Alert) => boolean, after?: number): Promise<Alert>;
  run(...args: readonly string[]): ReturnType<typeof runAgent>;
}

/** Its own files the agent guards too: another process may be working on them while tests run. */
const program = join(import.meta.dirname, "../..");
const marker = "/etc/kubernetes/marker-";

export const isGrave = ({ verdict, severity }: Alert): boolean =>
  verdict === "unexpected" && isAtLeast(severity, "high");

/** For the message of an assertion. */
export const inShort = (alerts: readonly Alert[]): readonly string[] =>
  alerts.map(
    ({ path, change, fields, from, via, steps, severity, verdict }) =>
      `${severity} ${verdict} ${change} ${path} ${[fields ?? steps, from, via].join(" ")}`,
  );

const isOfNode = ({ path }: Alert): boolean =>
  !path.startsWith(marker) && !path.startsWith(`${program}/`);

export async function guard(options: GuardedOptions): Promise<Guarded> {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(makePlace());
  const root = place.at("root");
  const state = place.at("state");
  const at = (path: string): string => join(root, path);
  makeControlPlane(root);
  await options.prepare?.(at);
  const args = ["--root", root, "--state", state];
  const run = async (...more: readonly string[]) => await runAgent([...more, ...args]);
  const { code, stderr } = await run("baseline");
  if (code !== 0) throw new Error(`baseline ended with ${code}: ${stderr}`);
  const secret = `whsec_${randomBytes(32).toString("base64")}`;
  writeFileSync(place.at("webhook.key"), `${secret}\n`, { mode: 0o600 });
  const receiver = stack.use(await startReceiver({ secrets: [secret] }));
  const again = async (): Promise<Watching> =>
    await startWatch({
      root,
      state,
      engine: options.engine,
      ...(options.program !== undefined && { program: options.program }),
      config: {
        webhooks: [{ url: receiver.url, secret: place.at("webhook.key") }],
        watch: { quickSweepEvery: "300ms", ...options.watch },
      },
    });
  const watching = stack.use(await again());
  const all = (): readonly Alert[] => receiver.accepted().flatMap(({ data }) => alertOf(data));
  const alerts = (): readonly Alert[] => all().filter(isOfNode);
  let marks = 0;
  const mark = async (): Promise<void> => {
    const path = `${marker}${(marks += 1)}`;
    writeFileSync(at(path), path);
    await until(() => all().some((one) => one.path === path), 60_000);
  };
  const owned = stack.move();
  return {
    at,
    root,
    state,
    run,
    watching,
    again,
    receiver,
    alerts,
    beside: (name) => place.at(name),
    events: () => receiver.accepted().map(({ type }) => type),
    settle: async () => {
      await swept(watching);
      await mark();
      await mark();
    },
    alerted: async (isWanted, after = 0) => {
      try {
        return await until(() => alerts().slice(after).find(isWanted), 30_000);
      } catch (cause) {
        const found = inShort(alerts().slice(after)).join("\n");
        const said = watching.lines.slice(-10).join("\n");
        throw new Error(`not alerted: ${isWanted.toString()}; but:\n${found}\n${said}`, { cause });
      }
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

/** Two quick sweeps have ended since the call, so that one of them began after it. */
async function swept(watching: Watching): Promise<void> {
  for (let sweeps = 0; sweeps < 2; sweeps += 1) {
    const from = performance.now();
    await until(async () => {
      const age = (await watching.metrics()).get('fim_sweep_age_seconds{sweep="quick"}');
      return age !== undefined && age * 1000 < performance.now() - from;
    }, 60_000);
  }
}

function alertOf(data: Readonly<Record<string, unknown>>): readonly Alert[] {
  const fim = (data["unmapped"] as { readonly fim?: ChangeObject } | undefined)?.fim;
  return fim ? [{ ...fim, event: data }] : [];
}

/** Milliseconds of CPU time that a process has used (proc_pid_stat(5), in hundredths of a second). */
export function cpuTime(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** A program that runs bin/fim-agent behind a shell line, "$@" being its arguments. */
export function wrap(file: string, line: string): string {
  const agent = join(program, "bin/fim-agent");
  rmSync(file, { force: true });
  writeFileSync(file, `#!/bin/sh\n${line.replace("AGENT", `"${agent}"`)}\n`, { mode: 0o755 });
  return file;
}
