import test from "ava";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { QuickSweep } from "../../src/observe/quick-sweep.ts";
import { scan } from "../../src/reconcile/changed-below.ts";
import { makeBench } from "../reconcile/bench.ts";
import type { Bench } from "../reconcile/bench.ts";

/** A quick sweep that knows everything that the bench does. */
function sweepOf(bench: Bench, urgent: (path: string) => boolean = () => true): QuickSweep {
  const sweep = new QuickSweep(bench.root);
  for (const { path, observation } of bench.current.all())
    sweep.learn(path, observation, urgent(path));
  return sweep;
}

interface Case {
  readonly what: string;
  readonly play: (bench: Bench) => void;
  readonly found: readonly string[];
}

const cases: readonly Case[] = [
  { what: "nothing", play: () => undefined, found: [] },
  { what: "reading", play: (bench) => readFileSync(bench.at("/w/a")), found: [] },
  {
    what: "a write of the same length, its modification time put back",
    play: (bench) => {
      writeFileSync(bench.at("/w/a"), "A");
      utimesSync(bench.at("/w/a"), 1_700_000_000, 1_700_000_000);
    },
    found: ["/w/a"],
  },
  { what: "a mode", play: (bench) => chmodSync(bench.at("/w/a"), 0o700), found: ["/w/a"] },
  {
    what: "a second name elsewhere",
    play: (bench) => linkSync(bench.at("/w/a"), bench.at("/outside")),
    found: ["/w/a"],
  },
  { what: "a removal", play: (bench) => rmSync(bench.at("/w/d/b")), found: ["/w/d", "/w/d/b"] },
  {
    what: "a new file, by its directory",
    play: (bench) => bench.write("/w/d/new", "x"),
    found: ["/w/d"],
  },
  {
    what: "a replacement",
    play: (bench) => {
      bench.write("/outside", "a");
      renameSync(bench.at("/outside"), bench.at("/w/a"));
    },
    found: ["/w", "/w/a"],
  },
  {
    what: "a directory in the place of a file",
    play: (bench) => {
      rmSync(bench.at("/w/d/b"));
      mkdirSync(bench.at("/w/d/b"));
    },
    found: ["/w/d", "/w/d/b"],
  },
];

for (const { what, play, found } of cases)
  test(`the quick sweep finds ${what} at ${found.join(" and ") || "no path"}`, async (t) => {
    using bench = makeBench();
    bench.write("/w/a", "a");
    bench.write("/w/d/b", "b");
    bench.learn();
    const sweep = sweepOf(bench);
    t.deepEqual(sweep.sweep(0), []);
    play(bench);
    t.deepEqual(sweep.sweep(0).toSorted(), found);
    t.deepEqual(sweep.sweep(0).toSorted(), found, "until it is learned, it is found again");
    await bench.look(found);
    for (const { path, after } of bench.looked) sweep.learn(path, after, true);
    t.deepEqual(sweep.sweep(0), []);
  });

test("a path that is waited for is found when it appears, and no longer when it is forgotten", (t) => {
  using bench = makeBench();
  const sweep = new QuickSweep(bench.root);
  sweep.learn("/later/deep/file", undefined, true);
  t.is(sweep.present, 0);
  t.deepEqual(sweep.sweep(0), []);
  bench.write("/later/deep/file", "now");
  t.deepEqual(sweep.sweep(0), ["/later/deep/file"]);
  sweep.forget("/later/deep/file");
  t.deepEqual(sweep.sweep(0), []);
});

test("it counts present paths, however often they are noted", (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  bench.learn();
  const sweep = sweepOf(bench);
  const seen = bench.current.get("/w/a");
  t.is(sweep.present, 2);
  sweep.learn("/w/a", seen, true);
  sweep.learn("/w/a", seen, false);
  t.is(sweep.present, 2);
  sweep.learn("/w/a", undefined, false);
  t.is(sweep.present, 1);
  sweep.forget("/w/a");
  sweep.forget("/w/a");
  t.is(sweep.present, 1);
});

test("what is urgent is looked at in every sweep, the rest in turn as far as the time allows", (t) => {
  using bench = makeBench();
  for (let each = 0; each < 40; each += 1) bench.write(`/w/d/${each}`, "x");
  bench.write("/w/grave/a", "a");
  bench.learn();
  const sweep = sweepOf(bench, (path) => path.startsWith("/w/grave"));
  for (let each = 0; each < 40; each += 1) chmodSync(bench.at(`/w/d/${each}`), 0o700);
  chmodSync(bench.at("/w/grave/a"), 0o700);
  t.deepEqual(sweep.sweep(0), ["/w/grave/a"]);
  t.is(sweep.sweep(Infinity).length, 41);
  const found = new Set<string>();
  while (found.size < 41) for (const path of sweep.sweep(0.001)) found.add(path);
  t.is(found.size, 41);
});

test("of urgent paths a sweep looks at as many as it is asked to, however little time there is", (t) => {
  using bench = makeBench();
  for (let each = 0; each < 40; each += 1) bench.write(`/w/d/${each}`, "x");
  bench.learn();
  const sweep = sweepOf(bench);
  t.is(sweep.urgent, 42);
  for (let each = 0; each < 40; each += 1) chmodSync(bench.at(`/w/d/${each}`), 0o700);
  const found = [1, 2, 3].flatMap(() => sweep.sweep(0, 14));
  t.is(new Set(found).size, 40);
});

test("it counts the sweeps that a round over the other paths takes", (t) => {
  using bench = makeBench();
  for (let each = 0; each < 40; each += 1) bench.write(`/w/d/${each}`, "x");
  bench.learn();
  const sweep = sweepOf(bench, () => false);
  sweep.sweep(Infinity);
  t.is(sweep.sweepsForOthers, 1);
  sweep.sweep(0);
  t.is(sweep.sweepsForOthers, 42);
});

async function scanned(bench: Bench, dir: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for await (const path of scan(dir, bench.view)) paths.push(path);
  return paths.toSorted();
}

test("a scan finds what differs below a directory, what is new and what is gone", async (t) => {
  using bench = makeBench();
  for (const path of ["/w/d/same", "/w/d/mode", "/w/d/gone", "/w/d/sub/gone", "/w/e/mode"])
    bench.write(path, path);
  bench.learn();
  t.deepEqual(await scanned(bench, "/w"), []);
  for (const path of ["/w/d/mode", "/w/e/mode"]) chmodSync(bench.at(path), 0o700);
  rmSync(bench.at("/w/d/gone"));
  rmSync(bench.at("/w/d/sub"), { recursive: true });
  bench.write("/w/d/new/file", "new");
  t.deepEqual(await scanned(bench, "/w/d"), [
    "/w/d",
    "/w/d/gone",
    "/w/d/mode",
    "/w/d/new",
    "/w/d/new/file",
    "/w/d/sub",
    "/w/d/sub/gone",
  ]);
});

test("a scan of a directory that is gone finds it and everything that was below it", async (t) => {
  using bench = makeBench();
  for (let each = 0; each < 3; each += 1) bench.write(`/w/d/${each}`, "x");
  bench.learn();
  rmSync(bench.at("/w/d"), { recursive: true });
  t.deepEqual(await scanned(bench, "/w/d"), ["/w/d", "/w/d/0", "/w/d/1", "/w/d/2"]);
});

test("a scan of many files lets others run in between", async (t) => {
  using bench = makeBench();
  mkdirSync(bench.at("/w/many"));
  for (let each = 0; each < 1200; each += 1) writeFileSync(bench.at(`/w/many/${each}`), "");
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const paths = await scanned(bench, "/w/many");
  isOver = true;
  t.is(paths.length, 1201);
  t.true(turns >= 2, String(turns));
});

test("in a root of its own an absolute link leads to what lies inside of it", (t) => {
  using bench = makeBench();
  bench.write("/real/file", "x");
  symlinkSync("/real", bench.at("/link"));
  using sweep = new QuickSweep(bench.root);
  sweep.learn("/link/file", bench.view.observer.observe("/link/file", { hash: false }), true);
  t.deepEqual(sweep.sweep(Infinity), []);
  bench.write("/real/file", "y");
  t.deepEqual(sweep.sweep(Infinity), ["/link/file"]);
});
