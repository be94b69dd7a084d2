import test from "ava";
import fc from "fast-check";
import { nextUuidClock, uuidv7 } from "../../src/core/uuid.ts";

const random = fc.uint8Array({ minLength: 8, maxLength: 8 });
const now = fc.nat({ max: 2 ** 47 });

test("the example of RFC 9562 appendix A.6 is reproduced", (t) => {
  // 0x18C4DC0C0C07398F, with the two bits that the variant overwrites.
  const bits = Buffer.from("18c4dc0c0c07398f", "hex");
  const uuid = uuidv7({ at: 0x017f22e279b0, count: 0xcc3 }, bits);
  t.is(uuid, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
});

test("every UUID says version 7, the RFC's variant and its time", (t) => {
  fc.assert(
    fc.property(now, fc.nat({ max: 0xfff }), random, (at, count, bits) => {
      const uuid = uuidv7({ at, count }, bits);
      t.regex(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      t.is(Number.parseInt(uuid.replaceAll("-", "").slice(0, 12), 16), at);
    }),
  );
});

test("each UUID of a series sorts after the one before, whatever the clock does", (t) => {
  fc.assert(
    fc.property(fc.array(fc.tuple(now, random), { minLength: 2 }), (steps) => {
      let clock: ReturnType<typeof nextUuidClock> | undefined;
      let last = "";
      for (const [at, bits] of steps) {
        clock = nextUuidClock(clock, at);
        const uuid = uuidv7(clock, bits);
        t.true(uuid > last);
        last = uuid;
      }
    }),
  );
});

test("more UUIDs than a millisecond has numbers go on with the next millisecond", (t) => {
  let clock = nextUuidClock(undefined, 5.75);
  for (let count = 0; count < 0x1000; count += 1) clock = nextUuidClock(clock, 5);
  t.deepEqual(clock, { at: 6, count: 0 });
});
