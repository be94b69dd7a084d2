import test from "ava";
import { spawnSync } from "node:child_process";
import { join } from "node:path";

test("the benchmarks load, and name what they can measure", (t) => {
  const run = join(import.meta.dirname, "../bench/run.ts");
  const { status, stderr } = spawnSync(process.execPath, [run, "wrong"], { encoding: "utf8" });
  t.is(
    stderr,
    "usage: node bench/run.ts [baseline|latency|burst|footprint|overhead|collector|return…]\n",
  );
  t.is(status, 2);
});
