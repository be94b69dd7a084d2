import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { joinBy, startCollectorProcess } from "../test/helpers/collector-process.ts";
import { makeNode } from "../test/helpers/node.ts";
import { until } from "../test/helpers/wait.ts";
import { median } from "./program.ts";

/*
 * A collector that comes back: an agent has queued alerts meanwhile. The time from the collector's first answer until
 * it has stored the last of them, and the processor time that both took.
 */

const files = 10_000;
const rounds = 3;
const deadline = 300_000;

export async function benchReturn(): Promise<void> {
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round += 1) seconds.push(await measureReturn());
  const each = seconds.map((one) => one.toFixed(1)).join(", ");
  process.stdout.write(
    `return: ${files} queued alerts stored ${median(seconds).toFixed(1)} s after the collector's return (${each})\n`,
  );
}

async function measureReturn(): Promise<number> {
  using node = makeNode({ rules: { "/srv/**": "high" } });
  node.write("/srv/known", "");
  await node.capture();
  await using collector = await startCollectorProcess(node.beside("collector"));
  const config = { collector: await joinBy(collector, node.beside("join-token")) };
  await using watching = await node.watch({ config });
  await until(async () => (await collector.nodes())[0]?.["state"] === "well", deadline);
  const before = (await collector.alerts()).length;
  await collector.stop();
  mkdirSync(join(node.root, "srv/many"), { recursive: true });
  for (let at = 0; at < files; at += 1) writeFileSync(join(node.root, `srv/many/${at}`), "x");
  const pending = async (): Promise<number> =>
    (await watching.metrics()).get("fim_outbox_records") ?? 0;
  await until(async () => (await pending()) >= files, deadline);
  await collector.start();
  const started = performance.now();
  const stored = async (): Promise<number> => {
    const text = await (await fetch(`${collector.url}/metrics`)).text();
    return Number(/^fim_collector_records_total (\d+)/m.exec(text)?.[1] ?? 0);
  };
  await until(async () => (await stored()) >= files, deadline);
  const seconds = (performance.now() - started) / 1000;
  const shown = (await collector.alerts()).length - before;
  if (shown < files) throw new Error(`expected ${files} alerts, found ${shown}`);
  await watching.stop();
  return seconds;
}
