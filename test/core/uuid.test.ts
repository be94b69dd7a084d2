import test from "ava";
import fc from "fast-check";
import { uuidv7 } from "../../src/core/uuid.ts";

const random = fc.uint8Array({ minLength: 10, maxLength: 10 });
const now = fc.nat({ max: 2 ** 48 - 1 });

test("the example of RFC 9562 appendix A.6 is reproduced", (t) => {
  // 0xCC3 and 0x18C4DC0C0C07398F, with bits that version and variant overwrite.
  const bits = Buffer.from("0cc318c4dc0c0c07398f", "hex");
  t.is(uuidv7(0x017f22e279b0, bits), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
});

test("every UUID says version 7, the RFC's variant and its time", (t) => {
  fc.assert(
    fc.property(now, random, (at, bits) => {
      const uuid = uuidv7(at, bits);
      t.regex(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      t.is(Number.parseInt(uuid.replaceAll("-", "").slice(0, 12), 16), at);
    }),
  );
});

test("a later UUID sorts after an earlier one", (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(now, { minLength: 2, maxLength: 2 }),
      random,
      random,
      (times, a, b) => {
        const [early = 0, late = 0] = times.toSorted((one, two) => one - two);
        t.true(uuidv7(early, a) < uuidv7(late, b));
      },
    ),
  );
});

test("a time with a fraction is cut to whole milliseconds", (t) => {
  const bits = new Uint8Array(10);
  t.is(uuidv7(1_795_404_101_123.75, bits), uuidv7(1_795_404_101_123, bits));
});
