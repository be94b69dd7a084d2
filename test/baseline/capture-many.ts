import { Current } from "../../src/baseline/current.ts";
import { transact } from "../../src/sqlite/open.ts";
import { State, approval, rowFor } from "../helpers/state.ts";

/** A program of its own, so that what it measures is the capture's memory and not the test runner's. */
const count = 100_000;
const step = 500;
using state = new State();
const before = process.memoryUsage().rss;
const started = performance.now();
const baseline = state.baseline();
using capture = baseline.begin();
for (let from = 0; from < count; from += step) {
  const page = Array.from({ length: step }, (_, at) => {
    const n = String(from + at).padStart(6, "0");
    return [
      `/var/lib/kubelet/${n.slice(0, 4)}/a-file-of-some-length-${n}`,
      rowFor(from + at),
    ] as const;
  });
  capture.add(page);
}
const { rows } = baseline.finish(capture, approval());
const ms = performance.now() - started;
transact(state.db, () => new Current(state.db).loadFromBaseline());
const grownBytes = process.resourceUsage().maxRSS * 1024 - before;
process.stdout.write(JSON.stringify({ rows, grownBytes, ms }));
