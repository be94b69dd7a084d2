import { benchBaseline } from "./baseline.ts";
import { benchBurst } from "./burst.ts";
import { benchCollector } from "./collector.ts";
import { benchFootprint } from "./footprint.ts";
import { benchLatency } from "./latency.ts";
import { benchOverhead } from "./overhead.ts";
import { benchReturn } from "./return.ts";

/*
 * Every benchmark that the README quotes, or the named ones: node bench/run.ts [baseline|latency|burst|footprint…]
 * Run it as root on an idle machine; it takes about fifteen minutes and 3 GB below TMPDIR.
 */

const benchmarks: Readonly<Record<string, () => void | Promise<void>>> = {
  baseline: () => benchBaseline(Number(process.env["FIM_BENCH_ROUNDS"] ?? 5)),
  latency: () => benchLatency(),
  burst: () => benchBurst(),
  footprint: () => benchFootprint(),
  overhead: () => benchOverhead(),
  collector: () => benchCollector(),
  return: () => benchReturn(),
};

const given = process.argv.slice(2);
const unknown = given.filter((name) => !Object.hasOwn(benchmarks, name));
if (unknown.length > 0) {
  process.stderr.write(`usage: node bench/run.ts [${Object.keys(benchmarks).join("|")}…]\n`);
  process.exitCode = 2;
} else {
  for (const [name, bench] of Object.entries(benchmarks))
    if (given.length === 0 || given.includes(name)) await bench();
}
