import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { get } from "../helpers/http.ts";
import { until } from "../helpers/wait.ts";
import { chainOf } from "../helpers/node.ts";
import type { Alert } from "../helpers/node.ts";
import { fanotifyMissing, outputOf, programOf } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { needing } from "../helpers/needs.ts";

const python = programOf("python3");
const missing = fanotifyMissing ?? (python === undefined ? "needs python3" : undefined);
const possible = needing(missing, "serial");

const directories = ["/srv/high", "/srv/medium"] as const;
const files = 10_000;
const rounds = 5;
const patience = 240_000;
const mebibyte = 2 ** 20;

const asItWas = "as it was   ";

/** Writes each file of some directories again and again, as fast as it can: in place, or the filesystem would slow it. */
const storm = `
import os, sys
for round in range(${rounds}):
  for i in range(${files}):
    for dir in sys.argv[1:]:
      file = os.open(f"{dir}/{i}", os.O_WRONLY)
      os.write(file, b"%6d %5d" % (i, round))
      os.close(file)
`;

possible(
  `of 100,000 changes that come as fast as a loop makes them none is lost, and the agent answers all the while`,
  async (t) => {
    t.timeout(2 * patience);
    await using node = await startNode({
      rules: [
        { id: "high", paths: ["/srv/high/**"], severity: "high" },
        { id: "medium", paths: ["/srv/medium/**"], severity: "medium" },
      ],
      prepare: (ground) => {
        for (const dir of directories) {
          mkdirSync(ground.at(dir), { recursive: true });
          for (let i = 0; i < files; i += 1) writeFileSync(ground.at(`${dir}/${i}`), asItWas);
        }
      },
      // What counts here is in the chain; sending it all would only take its time.
      minSeverity: "critical",
      config: { outbox: { maxBytes: "2GiB" } },
    });
    const health = askAllTheWhile(node);
    const began = performance.now();
    await outputOf(spawn(python ?? "", ["-c", storm, ...directories.map((dir) => node.at(dir))]));
    const stormed = performance.now();
    const final = finalDigests(node);
    await until(async () => {
      await pause(500);
      return differing(node, final).length === 0;
    }, patience);
    const known = performance.now();
    const answers = await health.stop();
    const memory = memoryOf(node.watching.pid);
    const metrics = await node.watching.metrics();
    t.is(await node.watching.stop(), 0);
    const alerts = chainOf(node.state).filter(({ path }) => path.startsWith("/srv/"));
    t.log(`storm: ${seconds(stormed - began)}, known after ${seconds(known - began)}`);
    t.log(`${alerts.length} alerts, ${memory / mebibyte} MiB at most`);
    t.log(`${answers.length} answers of /healthz, the slowest in ${Math.max(...answers)} ms`);

    t.deepEqual(differing(node, final), []);
    // Were events lost, this would say so, and what is above would still hold.
    t.is(metrics.get('fim_engine_overflows_total{engine="fanotify"}') ?? 0, 0);
    for (const dir of directories) {
      const severity = dir.slice("/srv/".length);
      const reported = alerts.filter((alert) => alert.path.startsWith(dir));
      const sum = reported.reduce((total, { count }) => total + (count ?? 1), 0);
      const labels = `change="modified",severity="${severity}",verdict="unexpected"`;
      t.is(metrics.get(`fim_changes_total{${labels}}`), sum);
      t.true(sum >= files && sum <= files * rounds, `${sum} changes under ${dir}`);
    }
    t.deepEqual(holesIn(alerts, final).slice(0, 20), []);
    const unnamed = alerts.filter(({ actor }) => actor?.exe !== python);
    t.is(unnamed.length, 0, JSON.stringify(unnamed[0]));
    t.true(memory < 512 * mebibyte);
  },
);

const seconds = (value: number): string => `${Math.round(value / 1000)} s`;

const sha256 = (file: string): string =>
  createHash("sha256").update(readFileSync(file)).digest("hex");

function finalDigests(node: RunningNode): ReadonlyMap<string, string> {
  return new Map(
    directories
      .flatMap((dir) => Array.from({ length: files }, (_, i) => `${dir}/${i}`))
      .map((path) => [path, sha256(node.at(path))]),
  );
}

/** Paths for which the agent's database knows something else than is there. */
function differing(node: RunningNode, final: ReadonlyMap<string, string>): readonly string[] {
  const current = node.current();
  return [...final].flatMap(([path, digest]) =>
    current.get(path)?.sha256 === digest ? [] : [path],
  );
}

/** Where what is reported of a grave file does not lead, step by step, from what it was to what it is. */
function holesIn(alerts: readonly Alert[], final: ReadonlyMap<string, string>): readonly string[] {
  const first = createHash("sha256").update(asItWas).digest("hex");
  const now = new Map<string, string | undefined>();
  const holes: string[] = [];
  for (const { path, before, after, severity } of alerts) {
    if (severity !== "high") continue;
    if (before?.sha256 !== (now.get(path) ?? first)) holes.push(`${path}: a step is missing`);
    now.set(path, after?.sha256);
  }
  for (const [path, digest] of final)
    if (path.startsWith("/srv/high") && now.get(path) !== digest) holes.push(`${path}: the end`);
  return holes;
}

/** Bytes: the most that the process ever held (proc_pid_status(5)). */
function memoryOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}

/** Asks /healthz again and again. Gives how long each answer took, in milliseconds; any other answer than 200 throws. */
function askAllTheWhile(node: RunningNode): { stop(): Promise<readonly number[]> } {
  const over = new AbortController();
  const ask = async (): Promise<readonly number[]> => {
    const took: number[] = [];
    while (!over.signal.aborted) {
      const from = performance.now();
      const { status, body } = await get(`http://${node.watching.listen}/healthz`);
      if (status !== 200) throw new Error(`/healthz answered ${status}: ${body}`);
      took.push(Math.round(performance.now() - from));
      await pause(100);
    }
    return took;
  };
  const asking = ask();
  // A process that stops it is reported; until then a rejection is not unhandled.
  asking.catch(() => undefined);
  return {
    stop: async () => {
      over.abort();
      return await asking;
    },
  };
}
