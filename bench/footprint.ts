import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { printTable } from "./program.ts";
import { engines, Ground } from "./watching.ts";
import type { Engine } from "./watching.ts";

/*
 * What `watch` costs while nothing happens: resident memory, its anonymous part and peak, and processor time over a
 * minute, by the number of watched files. First it has as long to come to rest: idle threads end, V8 compiles hot
 * code, and unused pages are given back.
 */

const counts = [1000, 10_000, 100_000];
const rest = 60_000;
const span = 60_000;
/** USER_HZ: what /proc counts processor time in. */
const ticksPerSecond = 100;

export async function benchFootprint(wanted: readonly Engine[] = engines): Promise<void> {
  using ground = new Ground();
  const rows: (readonly string[])[] = [];
  for (const count of counts) {
    const { root } = ground.files(`footprint-${count}`, count);
    for (const engine of wanted) {
      await using watching = await ground.watch(root, engine);
      await pause(rest);
      const before = ticksOf(watching.pid);
      await pause(span);
      const ticks = ticksOf(watching.pid) - before;
      const memory = memoryOf(watching.pid);
      rows.push([
        `${engine} ${count}`,
        memory("VmRSS"),
        memory("RssAnon"),
        memory("VmHWM"),
        ((ticks / ticksPerSecond / (span / 1000)) * 100).toFixed(2),
      ]);
    }
  }
  printTable(
    "footprint: watch at rest, by engine and watched files",
    ["", "resident MB", "anonymous", "peak", "% of a core"],
    rows,
  );
}

/** utime and stime, proc_pid_stat(5): the 14th and 15th, counted after the name, which may hold any character. */
function ticksOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function memoryOf(pid: number): (name: string) => string {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return (name) => {
    const [, kilobytes] = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status) ?? [];
    return (Number(kilobytes) / 1024).toFixed(0);
  };
}

if (import.meta.main) {
  const given = process.argv.slice(2);
  await benchFootprint(engines.filter((engine) => given.length === 0 || given.includes(engine)));
}
