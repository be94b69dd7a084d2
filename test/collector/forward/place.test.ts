import test from "ava";
import fc from "fast-check";
import { claim, held, parsePlace } from "../../../src/collector/forward/place.ts";
import type { Place } from "../../../src/collector/forward/place.ts";

const free: Place = { seq: 7, attempts: 0, nextAt: 0, disabled: false };
const now = Date.UTC(2026, 10, 27);

test("a sink is served by one collector until its time is over", (t) => {
  const own = claim(free, "a", now);
  t.deepEqual(own, { ...free, holder: "a", until: now + held });
  if (!own) return;
  t.is(claim(own, "b", now + held - 1), undefined);
  t.is(claim(own, "b", now + held)?.holder, "b");
  t.is(claim(own, "a", now + 1)?.until, now + 1 + held);
  t.is(claim({ ...own, until: 0 }, "b", now)?.holder, "b");
});

test("a clock that was set back keeps no sink for ever", (t) => {
  const own = claim(free, "a", now);
  t.is(own && claim(own, "b", now - 3_600_000)?.holder, "b");
});

test("a place is read as it was written, and junk is a place at the beginning", (t) => {
  const place = fc.record(
    {
      seq: fc.nat(),
      attempts: fc.nat(),
      nextAt: fc.nat(),
      disabled: fc.boolean(),
      reason: fc.string(),
      keys: fc.string(),
      holder: fc.string(),
      until: fc.nat(),
    },
    { requiredKeys: ["seq", "attempts", "nextAt", "disabled"] },
  );
  fc.assert(
    fc.property(place, (one) => {
      t.deepEqual(parsePlace(JSON.stringify(one)), { ...one });
    }),
  );
  t.deepEqual(parsePlace('{"seq":"7","disabled":1}'), { ...free, seq: 0 });
});
