import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startReceiver } from "../test/helpers/receiver.ts";
import { until } from "../test/helpers/wait.ts";
import { printTable } from "./program.ts";
import { engines, Ground, pathOf } from "./watching.ts";
import type { Engine } from "./watching.ts";

/*
 * As many changes as a loop can make without a pause: the time until the last alert is committed, and until it is
 * received. Each is an alert of its own; none may be lost.
 */

const changes = 10_000;
const deadline = 300_000;

export async function benchBurst(wanted: readonly Engine[] = engines): Promise<void> {
  using ground = new Ground();
  const rows: (readonly string[])[] = [];
  for (const engine of wanted)
    for (const kind of ["chmod", "write"] as const) rows.push(await burst(ground, engine, kind));
  printTable(
    `burst: ${changes} changes without a pause, seconds since the first`,
    ["", "made", "committed", "received", "alerts/s", "lost"],
    rows,
  );
}

async function burst(
  ground: Ground,
  engine: Engine,
  kind: "chmod" | "write",
): Promise<readonly string[]> {
  await using receiver = await startReceiver();
  const { root, paths } = ground.files(`burst-${engine}-${kind}`, changes);
  await using watching = await ground.watch(root, engine, { receiver });
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1000;
  for (const path of paths) {
    if (kind === "chmod") chmodSync(join(root, path), 0o640);
    else writeFileSync(join(root, path), "other content\n");
  }
  const made = seconds();
  const asked = new Set(paths);
  const left = new Set(paths);
  let read = 0;
  let received = 0;
  const receiveAll = until(() => {
    for (; read < receiver.requests.length; read += 1) {
      const request = receiver.requests[read];
      const path = request && pathOf(request);
      if (path !== undefined && asked.has(path) && left.delete(path)) received = seconds();
    }
    return left.size === 0;
  }, deadline).catch(() => false);
  const committed = await until(async () => {
    let sum = 0;
    for (const [name, value] of await watching.metrics())
      if (name.startsWith("fim_changes_total")) sum += value;
    return sum >= changes && seconds();
  }, deadline).catch(() => Number.NaN);
  await receiveAll;
  return [
    `${engine} ${kind}`,
    made.toFixed(2),
    committed.toFixed(2),
    received.toFixed(2),
    (changes / received).toFixed(0),
    String(left.size),
  ];
}

if (import.meta.main) {
  const given = process.argv.slice(2);
  await benchBurst(engines.filter((engine) => given.length === 0 || given.includes(engine)));
}
