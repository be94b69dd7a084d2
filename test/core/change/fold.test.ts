import test from "ava";
import fc from "fast-check";
import { foldLimits, mayFold, spend } from "../../../src/core/change/fold.ts";
import type { Bucket } from "../../../src/core/change/fold.ts";
import { severities } from "../../../src/core/policy/rule.ts";

/** How many alerts at these moments (milliseconds) are reported singly. */
function singles(moments: readonly number[], limits = foldLimits): number {
  let bucket: Bucket | undefined;
  let count = 0;
  for (const now of moments) {
    const spent = spend(bucket, now, limits);
    bucket = spent.bucket;
    if (spent.single) count += 1;
  }
  return count;
}

test("what is high or critical is never folded", (t) => {
  t.deepEqual(severities.filter(mayFold), ["info", "low", "medium"]);
});

test("a burst gets single alerts up to its limit, and one alert more for each fifth of a second", (t) => {
  const storm = Array.from({ length: 1000 }, () => 0);
  t.is(singles(storm), 200);
  t.is(singles([...storm, 199]), 200);
  t.is(singles([...storm, 200]), 201);
  t.is(singles([...storm, 3_600_000, ...storm.map(() => 3_600_000)]), 400);
});

test("in any time, no more are reported than the burst and the rate allow, and none that could be is kept back", (t) => {
  const gaps = fc.array(fc.nat({ max: 2000 }), { minLength: 1, maxLength: 200 });
  const limits = fc.record({
    burst: fc.integer({ min: 1, max: 20 }),
    perSecond: fc.integer({ min: 1, max: 20 }),
  });
  fc.assert(
    fc.property(gaps, limits, (list, limit) => {
      let now = 0;
      const moments = list.map((gap) => (now += gap));
      const reported = singles(moments, limit);
      const elapsed = (now - (moments[0] ?? 0)) / 1000;
      t.true(reported <= limit.burst + elapsed * limit.perSecond + 1e-6);
      t.true(reported >= Math.min(limit.burst, list.length));
    }),
  );
});

test("a clock that goes back gives nothing and takes nothing", (t) => {
  const full = { burst: 2, perSecond: 1 };
  t.is(singles([10_000, 10_000, 10_000, 5000, 5000], full), 2);
  t.is(singles([10_000, 10_000, 5000, 6000], full), 3);
});
