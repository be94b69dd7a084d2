import { spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { startReceiver } from "../test/helpers/receiver.ts";
import { until } from "../test/helpers/wait.ts";
import { printTable, quantile } from "./program.ts";
import { engines, Ground, pathOf } from "./watching.ts";
import type { Engine } from "./watching.ts";

/*
 * From the system call that changes a file to the webhook at the receiver: three kinds of change, each 400 times, 15
 * ms apart, on an idle machine and with every core busy. The receiver is this process, so that both ends have one
 * clock.
 */

const changes = 400;
const apart = 15;

type Kind = "chmod" | "write" | "create";

const act: Readonly<Record<Kind, (file: string) => void>> = {
  chmod: (file) => chmodSync(file, 0o640),
  write: (file) => writeFileSync(file, "other content\n"),
  create: (file) => writeFileSync(`${file}.new`, "new\n"),
};

export async function benchLatency(wanted: readonly Engine[] = engines): Promise<void> {
  using ground = new Ground();
  const rows: (readonly string[])[] = [];
  for (const engine of wanted) {
    rows.push(...(await latencies(ground, engine, "idle")));
    using _ = new BusyCores();
    rows.push(...(await latencies(ground, engine, "loaded")));
  }
  printTable(
    `latency: change to received webhook, ${changes} changes ${apart} ms apart, milliseconds`,
    ["", "p50", "p99", "max", "lost"],
    rows,
  );
}

/** A loop that does nothing on each core, until it is disposed of. */
class BusyCores implements Disposable {
  readonly #loops = cpus().map(() => spawn("sh", ["-c", "while :; do :; done"]));

  [Symbol.dispose](): void {
    for (const loop of this.#loops) loop.kill("SIGKILL");
  }
}

async function latencies(
  ground: Ground,
  engine: Engine,
  load: "idle" | "loaded",
): Promise<(readonly string[])[]> {
  await using receiver = await startReceiver();
  const { root, paths } = ground.files(`latency-${engine}-${load}`, changes);
  await using stack = new AsyncDisposableStack();
  stack.use(await ground.watch(root, engine, { receiver }));
  const rows: (readonly string[])[] = [];
  for (const kind of ["chmod", "write", "create"] as const) {
    const began = new Map<string, number>();
    const from = receiver.requests.length;
    for (const path of paths) {
      began.set(kind === "create" ? `${path}.new` : path, Date.now());
      act[kind](join(root, path));
      await pause(apart);
    }
    const arrived = (): ReadonlyMap<string, number> => {
      const first = new Map<string, number>();
      for (const request of receiver.requests.slice(from)) {
        const path = pathOf(request);
        if (path !== undefined && began.has(path) && !first.has(path)) first.set(path, request.at);
      }
      return first;
    };
    await until(() => arrived().size === changes, 20_000).catch(() => undefined);
    const times = [...arrived()].map(([path, at]) => at - (began.get(path) ?? Number.NaN));
    const figures = [quantile(times, 0.5), quantile(times, 0.99), Math.max(...times)];
    const lost = changes - times.length;
    rows.push([
      `${engine} ${kind}, ${load}`,
      ...figures.map((one) => one.toFixed(0)),
      String(lost),
    ]);
  }
  return rows;
}

if (import.meta.main) {
  const given = process.argv.slice(2);
  await benchLatency(engines.filter((engine) => given.length === 0 || given.includes(engine)));
}
