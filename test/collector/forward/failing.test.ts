import test from "ava";
import { Failing } from "../../../src/collector/forward/failing.ts";

test("a sink that fails for a minute is reported once, and its end once", (t) => {
  const failing = new Failing();
  t.is(failing.note("a", "retry", 0), undefined);
  t.is(failing.note("a", "rejected", 59_999), undefined);
  t.is(failing.note("a", "retry", 60_000), "begun");
  t.is(failing.note("a", "retry", 90_000), undefined);
  t.is(failing.note("b", "delivered", 90_000), undefined);
  t.is(failing.note("a", "delivered", 90_001), "over");
  t.is(failing.note("a", "delivered", 90_002), undefined);
});

test("a sink that recovers within a minute is not reported, and one that is gone at once", (t) => {
  const failing = new Failing();
  failing.note("a", "retry", 0);
  t.is(failing.note("a", "delivered", 30_000), undefined);
  t.is(failing.note("a", "retry", 60_000), undefined);
  t.is(failing.note("b", "disabled", 0), "begun");
});
