import test from "ava";
import fc from "fast-check";
import { closure } from "../../src/core/closure.ts";

test("a closure holds the start and everything reachable from it, each once", (t) => {
  const next: Readonly<Record<string, readonly string[]>> = { a: ["b", "c"], b: ["a"], c: ["d"] };
  t.deepEqual([...closure(["a"], (item) => next[item] ?? [])], ["a", "b", "c", "d"]);
});

test("a closure is closed: every step from it stays inside", (t) => {
  const graph = fc.dictionary(
    fc.constantFrom("a", "b", "c", "d", "e"),
    fc.array(fc.constantFrom("a", "b", "c", "d", "e")),
  );
  fc.assert(
    fc.property(graph, (edges) => {
      const all = closure(["a"], (item) => edges[item] ?? []);
      return [...all].every((item) => (edges[item] ?? []).every((other) => all.has(other)));
    }),
  );
  t.pass();
});
