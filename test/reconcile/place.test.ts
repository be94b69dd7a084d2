import test from "ava";
import { chmodSync, rmSync } from "node:fs";
import { QuickSweep } from "../../src/observe/quick-sweep.ts";
import { makeBench } from "./bench.ts";
import type { Bench } from "./bench.ts";

/* Directories for which no rule holds, but in which something is watched: "/later" of the bench's rules. */

const looked = (bench: Bench): readonly string[] => bench.looked.map(({ path }) => path);

test("a directory without a rule is found by the quick sweep once for each change in it, and not for ever", (t) => {
  using bench = makeBench();
  bench.write("/later/deep/file", "x");
  const sweep = new QuickSweep(bench.root);
  for (const place of ["/later/deep", "/later/none"]) sweep.learnPlace(place);
  const twice = () => [sweep.sweep(Infinity), sweep.sweep(Infinity)];
  t.deepEqual(twice(), [[], []]);
  bench.write("/later/deep/other", "x");
  t.deepEqual(twice(), [["/later/deep"], []]);
  bench.write("/later/none/file", "x");
  t.deepEqual(twice(), [["/later/none"], []]);
  rmSync(bench.at("/later"), { recursive: true });
  t.deepEqual(twice(), [["/later/deep", "/later/none"], []]);
  t.is(sweep.present, 0);
});

test("a hint for a directory without a rule has only that read again in it which has moved", async (t) => {
  using bench = makeBench();
  bench.write("/later/deep/file", "x");
  bench.learn();
  t.deepEqual(await bench.look(["/later"]), []);
  t.deepEqual(looked(bench), ["/later"]);
  chmodSync(bench.at("/later/deep/file"), 0o700);
  const changes = await bench.look(["/later"]);
  t.deepEqual(looked(bench), ["/later", "/later/deep/file"]);
  t.deepEqual(
    changes.map(({ change }) => [change.kind, change.path]),
    [["modified", "/later/deep/file"]],
  );
});

test("what is new in a directory without a rule is found by a hint for that directory", async (t) => {
  using bench = makeBench();
  bench.write("/later/other", "x");
  bench.learn();
  bench.write("/later/deep/file", "x");
  const changes = await bench.look(["/later"]);
  t.deepEqual(
    changes.map(({ change }) => [change.kind, change.path]),
    [["created", "/later/deep/file"]],
  );
});

test("urgent paths too are looked at in turn, as many as a sweep is asked to", (t) => {
  using bench = makeBench();
  for (let each = 0; each < 40; each += 1) bench.write(`/w/${each}`, "x");
  bench.learn();
  const sweep = new QuickSweep(bench.root);
  for (const { path, observation } of bench.current.all()) sweep.learn(path, observation, true);
  t.deepEqual(sweep.sweep(0, Infinity), []);
  for (let each = 0; each < 40; each += 1) chmodSync(bench.at(`/w/${each}`), 0o700);
  t.deepEqual(sweep.sweep(Infinity, 0), []);
  const found = new Set<string>();
  while (found.size < 40) for (const path of sweep.sweep(0, 1)) found.add(path);
  t.is(sweep.sweep(0, Infinity).length, 40);
});
