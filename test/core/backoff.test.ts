import test from "ava";
import fc from "fast-check";
import {
  classify,
  defaultLimits,
  delayAfter,
  nextDelay,
  parseRetryAfter,
} from "../../src/core/backoff.ts";

const now = Date.UTC(2026, 0, 2, 3, 4, 5);
const kindOf = (status: number) => classify({ kind: "status", status }, now).kind;
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("a delay is never negative and never above the cap, whatever the count and the random number", (t) => {
  fc.assert(
    fc.property(fc.integer(), fc.double(), (failures, random) => {
      const delay = nextDelay(failures, random, defaultLimits);
      return Number.isInteger(delay) && delay >= 0 && delay <= defaultLimits.cap;
    }),
  );
  t.pass();
});

test("the bound of the delay doubles with each failure up to the cap", (t) => {
  const most = [1, 2, 3, 4, 5, 6, 7, 8, 5000].map((n) => nextDelay(n, 1, defaultLimits));
  t.deepEqual(most, [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  t.is(nextDelay(7, 0, defaultLimits), 0);
});

test("a wait that the receiver asks for is kept, up to an hour, with a little jitter on top", (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1000, max: 10_000_000 }),
      fc.nat(50),
      share,
      (afterMs, failures, random) => {
        const outcome = { kind: "retry", why: "", afterMs } as const;
        const delay = delayAfter(outcome, failures, { random, limits: defaultLimits });
        const asked = Math.min(afterMs, 3_600_000);
        return delay >= asked && delay <= asked + defaultLimits.base;
      },
    ),
  );
  t.pass();
});

test("a receiver that asks to be tried at once is tried more slowly with each failure", (t) => {
  const chance = { random: 1, limits: defaultLimits };
  for (const afterMs of [0, 300]) {
    const outcome = { kind: "retry", why: "", afterMs } as const;
    t.is(delayAfter(outcome, 1, chance), 1000);
    t.is(delayAfter(outcome, 7, chance), 60_000);
    t.is(delayAfter(outcome, 7, { ...chance, random: 0 }), afterMs);
  }
});

test("what the receiver refuses is tried again more slowly than what fails", (t) => {
  const chance = { random: 1, limits: defaultLimits };
  t.is(delayAfter({ kind: "retry", why: "" }, 1, chance), 1000);
  t.is(delayAfter({ kind: "rejected", why: "" }, 1, chance), 4000);
});

test("only a 2xx delivers and only 410 disables; everything else is tried again", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 599 }), (status) => {
      const { kind } = classify({ kind: "status", status }, now);
      if (status >= 200 && status < 300) return kind === "delivered";
      if (status === 410) return kind === "disabled";
      return kind === "retry" || kind === "rejected";
    }),
  );
  t.deepEqual([408, 425, 429, 500, 502, 503, 504].map(kindOf), Array(7).fill("retry"));
  t.deepEqual([301, 302, 400, 401, 403, 404, 413, 422].map(kindOf), Array(8).fill("rejected"));
});

test("a network error and a time-out are tried again and say why", (t) => {
  const refused = classify({ kind: "network", detail: "connect ECONNREFUSED" }, now);
  t.deepEqual(refused, { kind: "retry", why: "network: connect ECONNREFUSED" });
  t.is(classify({ kind: "timeout", detail: "15 s" }, now).kind, "retry");
});

test("Retry-After is read as seconds or as an HTTP date, and never as a negative wait", (t) => {
  t.is(parseRetryAfter("120", now), 120_000);
  t.is(parseRetryAfter(" 0 ", now), 0);
  t.is(parseRetryAfter("Fri, 02 Jan 2026 03:05:05 GMT", now), 60_000);
  t.is(parseRetryAfter("Fri, 02 Jan 2026 03:00:00 GMT", now), 0);
  for (const text of [
    undefined,
    "",
    "soon",
    "-5",
    "1.5",
    "tomorrow 5",
    "Fri, 99 Jan 2026 03:05:05 GMT",
  ]) {
    t.is(parseRetryAfter(text, now), undefined, text);
  }
  t.deepEqual(classify({ kind: "status", status: 429, retryAfter: "7" }, now), {
    kind: "retry",
    why: "status 429",
    afterMs: 7000,
  });
});

test("no text of Retry-After makes a negative or unbounded wait", (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.nat().map(String)), (text) => {
      const wait = parseRetryAfter(text, now);
      return wait === undefined || (Number.isSafeInteger(wait) && wait >= 0);
    }),
  );
  t.pass();
});

test("a 410 that anyone on the network can forge disables nothing", (t) => {
  const answer = { kind: "status", status: 410 } as const;
  t.is(classify(answer, 0).kind, "disabled");
  t.is(classify({ ...answer, isForgeable: true }, 0).kind, "rejected");
});
