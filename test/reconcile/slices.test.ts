import test from "ava";
import { Slices } from "../../src/reconcile/slices.ts";
import type { PathHints } from "../../src/reconcile/hints.ts";

const hint = (path: string, ...from: readonly string[]): PathHints => ({
  path,
  from,
  steps: ["renamed"],
  actors: [],
  lastAt: 0,
  engine: "fanotify",
});

const pathsOf = (hints: readonly PathHints[]) => hints.map(({ path }) => path).toSorted();

test("what renames join is in one slice, past its limit too", (t) => {
  const slices = new Slices([hint("/a"), hint("/x"), hint("/b", "/a"), hint("/c", "/b", "/gone")]);
  t.deepEqual(pathsOf(slices.take(1)), ["/a", "/b", "/c"]);
  t.false(slices.isEmpty);
  t.deepEqual(pathsOf(slices.take(1)), ["/x"]);
  t.true(slices.isEmpty);
});

test("a name that has no hint of its own joins those that came from it", (t) => {
  const slices = new Slices([hint("/b", "/gone"), hint("/x"), hint("/c", "/gone")]);
  t.deepEqual(pathsOf(slices.take(1)), ["/b", "/c"]);
});

test("what is asked for is taken with its partners, once, or only shown", (t) => {
  const slices = new Slices([hint("/a"), hint("/b", "/a"), hint("/x")]);
  t.deepEqual(pathsOf(slices.at(["/a", "/none"])), ["/a"]);
  t.deepEqual(pathsOf(slices.takeAt(["/a", "/b", "/none"])), ["/a", "/b"]);
  t.deepEqual(slices.takeAt(["/a"]), []);
  t.deepEqual(pathsOf(slices.take(9)), ["/x"]);
});
