import test from "ava";
import { RateLimit } from "../../src/collector/rate-limit.ts";

test("what is charged beyond the burst is waited for; asking costs nothing", (t) => {
  let now = 0;
  const limit = new RateLimit({ burst: 10, perSecond: 2 }, () => now);
  for (let asked = 0; asked < 20; asked += 1) t.is(limit.wait("a"), 0);
  limit.charge("a", 5);
  limit.charge("a", 15);
  t.is(limit.wait("a"), 5500);
  t.is(limit.take("a", 1), 5500, "it takes nothing while it must wait");
  t.is(limit.wait("b"), 0);
  now = 5500;
  t.is(limit.take("a", 1), 0);
  t.is(limit.wait("a"), 500);
});
