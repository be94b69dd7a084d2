import test from "ava";
import fc from "fast-check";
import { urgentPaths, urgentRound, urgentWithin } from "../../src/core/pace.ts";

test("quick sweeps look at every urgent path within ten seconds, or with each sweep if those are rarer", (t) => {
  const every = fc.integer({ min: 100, max: 3_600_000 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), every, (count, between) => {
      const sweeps = Math.ceil(count / urgentPaths(count, between));
      t.true(sweeps * between <= Math.max(urgentWithin, between));
      t.true(sweeps * between <= urgentRound(between));
    }),
  );
  t.is(urgentRound(3000), 9000);
  t.is(urgentRound(60_000), 60_000);
  t.is(urgentPaths(7000, 5000), 3500);
  t.is(urgentPaths(7000, 2000), 1400);
  t.is(urgentPaths(0, 2000), 0);
});
