import test from "ava";
import fc from "fast-check";
import { formatTime } from "../../src/observe/time.ts";

test("a time is written as Date writes it, with nine digits", (t) => {
  const seconds = fc.integer({ min: -62_167_219_200, max: 253_402_300_799 });
  const nanoseconds = fc.integer({ min: 0, max: 999_999_999 });
  fc.assert(
    fc.property(seconds, nanoseconds, (whole, rest) => {
      const date = new Date(whole * 1000).toISOString().slice(0, 19);
      const expected = `${date}.${String(rest).padStart(9, "0")}Z`;
      return formatTime({ seconds: whole, nanoseconds: rest }) === expected;
    }),
  );
  t.is(formatTime({ seconds: -1, nanoseconds: 5 }), "1969-12-31T23:59:59.000000005Z");
});

test("a time that RFC 3339 cannot write becomes the nearest that it can", (t) => {
  t.is(formatTime({ seconds: 2 ** 62, nanoseconds: 1 }), "9999-12-31T23:59:59.000000001Z");
  t.is(formatTime({ seconds: -(2 ** 62), nanoseconds: 1 }), "0000-01-01T00:00:00.000000001Z");
});
