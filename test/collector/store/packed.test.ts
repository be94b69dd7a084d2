import test from "ava";
import fc from "fast-check";
import { pack, unpack } from "../../../src/collector/store/packed.ts";

const line = fc
  .uint8Array({ maxLength: 300 })
  .map((bytes) => Buffer.from(bytes.filter((one) => one !== 10)));

test("records come out as they went in", (t) => {
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 70 }), (records) => {
      const packs = pack(records);
      t.deepEqual(
        packs.flatMap(({ bytes }) => unpack(bytes)),
        records,
      );
      t.deepEqual(
        packs.map(({ bytes }) => unpack(bytes).length),
        packs.map(({ count }) => count),
      );
    }),
  );
});

test("a record that holds a line feed is refused", (t) => {
  t.throws(() => pack([Buffer.from("a"), Buffer.from("b\n")]), { message: /line feed/ });
});

test("records of one batch take a tenth of their bytes", (t) => {
  const records = Array.from({ length: 20 }, (_, at) =>
    Buffer.from(
      JSON.stringify({ seq: at, words: Array.from({ length: 100 }, (__, n) => `w${n}`) }),
    ),
  );
  const bytes = records.reduce((sum, one) => sum + one.length, 0);
  const packed = pack(records).reduce((sum, one) => sum + one.bytes.length, 0);
  t.true(packed < bytes / 10);
});

test("bytes that were altered hold no records, and none is made up", (t) => {
  const [packed] = pack([Buffer.from('{"a":1}'), Buffer.from('{"b":2}')]);
  for (const altered of [
    packed?.bytes.subarray(0, -3) ?? t.fail(),
    Buffer.alloc(40),
    Buffer.from("no frame"),
  ])
    t.deepEqual(unpack(altered), []);
});
