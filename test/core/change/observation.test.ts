import test from "ava";
import fc from "fast-check";
import { isSameInode, parseRow, rowOf } from "../../../src/core/change/observation.ts";
import { observation, seen } from "../../helpers/judged.ts";

test("an observation is read back from its row as it was, and written again as the same row", (t) => {
  fc.assert(
    fc.property(observation, (one) => {
      t.deepEqual(parseRow(rowOf(one)), one);
      t.is(rowOf(parseRow(rowOf(one))), rowOf(one));
    }),
  );
});

test("a row does not depend on the order in which an observation was put together", (t) => {
  fc.assert(
    fc.property(observation, (one) => {
      const turned = Object.fromEntries(Object.entries(one).toReversed()) as typeof one;
      t.is(rowOf(turned), rowOf(one));
    }),
  );
});

test("the digest of a prefix is not stored", (t) => {
  t.is(rowOf(seen({ prefix: { size: 1, sha256: "00" } })), rowOf(seen()));
});

test("a file is the same under another name, but not with another inode, device or birth", (t) => {
  t.true(isSameInode(seen(), seen({ size: 1, mode: 0o644 })));
  t.false(isSameInode(seen(), seen({ ino: "1" })));
  t.false(isSameInode(seen(), seen({ dev: "0:1" })));
  t.false(isSameInode(seen(), seen({ btime: "2026-11-24T00:00:00.000000000Z" })));
});

test("a row that no observation was written as is refused as altered", (t) => {
  const row = rowOf(seen());
  const altered = [
    "",
    "\ufffd",
    "null",
    "{}",
    "[]",
    "3",
    row.slice(0, -1),
    row.replace("mode", "mod"),
  ];
  for (const one of altered)
    t.throws(() => parseRow(one), { code: "STATE_UNUSABLE", message: /altered or damaged$/ }, one);
});
