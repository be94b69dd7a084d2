import test from "ava";
import fc from "fast-check";
import { judgeBatch } from "../../../src/core/record/verdict.ts";

const stored = { head: { seq: 10, hash: "h10" }, branches: [] };
const hashOf = (seq: number): string | undefined => (seq <= 10 ? `h${seq}` : undefined);
const batch = (first: number, last: number, own = "h") => ({
  first,
  last,
  prev: `h${first - 1}`,
  head: `${own}${last}`,
});

test("a batch that begins after the head, with its hash, is appended", (t) => {
  t.deepEqual(judgeBatch(batch(11, 12), stored, hashOf), { kind: "append" });
});

test("a batch whose records are stored is a duplicate", (t) => {
  t.deepEqual(judgeBatch(batch(4, 10), stored, hashOf), { kind: "duplicate" });
  t.deepEqual(judgeBatch(batch(1, 1), stored, hashOf), { kind: "duplicate" });
});

test("a batch that begins later leaves a gap", (t) => {
  t.deepEqual(judgeBatch(batch(12, 13), stored, hashOf), { kind: "gap", expected: 11 });
});

test("a batch with other records than the stored ones is a fork", (t) => {
  const expected = { kind: "fork", seq: 9, branch: { kind: "new" } } as const;
  t.deepEqual(judgeBatch(batch(9, 10, "x"), stored, hashOf), expected);
});

test("a batch that follows the head's number, but not its hash, is a fork", (t) => {
  const verdict = judgeBatch({ ...batch(11, 11), prev: "x10" }, stored, hashOf);
  t.deepEqual(verdict, { kind: "fork", seq: 11, branch: { kind: "new" } });
});

test("a batch that goes beyond the head without following it is a fork", (t) => {
  const verdict = judgeBatch(batch(9, 12), stored, hashOf);
  t.deepEqual(verdict, { kind: "fork", seq: 9, branch: { kind: "new" } });
});

test("what follows a branch continues it, also beyond the chain's head", (t) => {
  const forked = { ...stored, branches: [{ number: 1, head: { seq: 14, hash: "x14" } }] };
  const next = { first: 15, last: 16, prev: "x14", head: "x16" };
  const verdict = judgeBatch(next, forked, hashOf);
  t.deepEqual(verdict, { kind: "fork", seq: 15, branch: { kind: "continued", number: 1 } });
  const again = judgeBatch({ first: 13, last: 14, prev: "x12", head: "x14" }, forked, hashOf);
  t.deepEqual(again, { kind: "fork", seq: 13, branch: { kind: "known", number: 1 } });
});

test("only a batch that repeats or continues what is stored is no fork and no gap", (t) => {
  const number = fc.integer({ min: 1, max: 20 });
  const property = fc.property(number, number, fc.boolean(), (first, more, isOwn) => {
    const last = first + more - 1;
    const { kind } = judgeBatch(batch(first, last, isOwn ? "h" : "x"), stored, hashOf);
    if (kind === "append") return first === 11;
    if (kind === "duplicate") return isOwn && last <= 10;
    if (kind === "gap") return first > 11;
    return first <= 10 && (!isOwn || last > 10);
  });
  t.notThrows(() => fc.assert(property));
});
