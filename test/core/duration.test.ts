import test from "ava";
import fc from "fast-check";
import {
  parseDuration,
  parseRate,
  parseSize,
  printDuration,
  printRate,
  printSize,
} from "../../src/core/duration.ts";

const amount = fc.oneof(
  fc.maxSafeNat(),
  fc.nat(1000).map((n) => n * 1000),
  fc.nat(1000).map((n) => n * 2 ** 20),
);

test("what is printed is read back as the same duration, size and rate", (t) => {
  fc.assert(fc.property(amount, (ms) => parseDuration(printDuration(ms)) === ms));
  fc.assert(fc.property(amount, (bytes) => parseSize(printSize(bytes)) === bytes));
  fc.assert(fc.property(amount, (bytes) => parseRate(printRate(bytes)) === bytes));
  t.pass();
});

test("a quantity is read in its unit", (t) => {
  t.is(parseDuration("500ms"), 500);
  t.is(parseDuration("5s"), 5000);
  t.is(parseDuration("15m"), 900_000);
  t.is(parseDuration("1h"), 3_600_000);
  t.is(parseDuration("7d"), 604_800_000);
  t.is(parseSize("256MiB"), 268_435_456);
  t.is(parseSize("0B"), 0);
  t.is(parseRate("50MiB/s"), 52_428_800);
});

test("the shortest exact text is printed", (t) => {
  t.is(printDuration(3_600_000), "1h");
  t.is(printDuration(1500), "1500ms");
  t.is(printDuration(0), "0s");
  t.is(printRate(52_428_800), "50MiB/s");
});

test("what is not a whole number with a known unit is refused", (t) => {
  const refused = ["", "5", "s", "-5s", "1.5h", "5 s", " 5s", "5S", "5s ", "1e3s", "5constructor"];
  for (const text of refused) t.is(parseDuration(text), undefined, text);
  for (const text of ["1MB", "1M", "1mib", "1s", "1MiB/s"]) t.is(parseSize(text), undefined, text);
  for (const text of ["1MiB", "1MiB/m", "/s"]) t.is(parseRate(text), undefined, text);
  t.is(parseSize("9999999999999999TiB"), undefined);
});
