import test from "ava";
import { Failing } from "../../../src/collector/forward/failing.ts";

test("a sink that fails for a minute is reported once, and its end once", (t) => {
  const failing = new Failing();
  t.is(failing.note("a", "retry", { now: 0 }), undefined);
  t.is(failing.note("a", "rejected", { now: 59_999 }), undefined);
  t.is(failing.note("a", "retry", { now: 60_000 }), "begun");
  t.is(failing.note("a", "retry", { now: 90_000 }), undefined);
  t.is(failing.note("b", "delivered", { now: 90_000 }), undefined);
  t.is(failing.note("a", "delivered", { now: 90_001 }), "over");
  t.is(failing.note("a", "delivered", { now: 90_002 }), undefined);
});

test("a sink that recovers within a minute is not reported, and one that is gone at once", (t) => {
  const failing = new Failing();
  failing.note("a", "retry", { now: 0 });
  t.is(failing.note("a", "delivered", { now: 30_000 }), undefined);
  t.is(failing.note("a", "retry", { now: 60_000 }), undefined);
  t.is(failing.note("b", "disabled", { now: 0 }), "begun");
});

test("a sink that must wait longer than a minute is reported at once", (t) => {
  const failing = new Failing();
  t.is(failing.note("a", "retry", { now: 0, delay: 3_600_000 }), "begun");
  t.is(failing.note("a", "retry", { now: 3_600_000, delay: 3_600_000 }), undefined);
});

test("a clock that was set back does not silence a failing sink", (t) => {
  const failing = new Failing();
  failing.note("a", "retry", { now: 86_400_000 });
  t.is(failing.note("a", "retry", { now: 0 }), undefined);
  t.is(failing.note("a", "retry", { now: 60_000 }), "begun");
});
