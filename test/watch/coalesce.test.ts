import test from "ava";
import fc from "fast-check";
import type { Actor, Hint, Step } from "../../src/core/change/hint.ts";
import { longestWait } from "../../src/core/change/wait.ts";
import { systemClock } from "../../src/watch/clock.ts";
import { Coalescer } from "../../src/watch/coalesce.ts";
import type { HintGroup } from "../../src/watch/coalesce.ts";
import { HeldClock } from "./stub.ts";

interface More {
  readonly from?: string;
  readonly actor?: Actor;
  readonly engine?: "fanotify" | "chokidar";
}

const hint = (path: string, step: Step, more: More = {}): Hint => ({
  kind: "path",
  engine: "fanotify",
  at: 5,
  path,
  step,
  ...more,
});

const tree = (path: string): Hint => ({
  kind: "tree",
  engine: "fanotify",
  at: 5,
  path,
  why: "test",
});

interface Bench {
  readonly clock: HeldClock;
  readonly coalescer: Coalescer;
  readonly groups: HintGroup[];
  readonly done: Promise<void>;
  /** Paths of each group. */
  readonly paths: () => string[][];
  readonly overflows: string[];
}

function bench(
  options: { known?: readonly string[]; mostPaths?: number; mostPending?: number } = {},
): Bench {
  const clock = new HeldClock();
  const { known = [], ...limits } = options;
  const overflows: string[] = [];
  const coalescer = new Coalescer({
    isKnown: (path) => known.includes(path),
    clock,
    onOverflow: (engine, detail) => overflows.push(`${engine}: ${detail}`),
    ...limits,
  });
  const groups: HintGroup[] = [];
  const read = async () => {
    for await (const group of coalescer) groups.push(group);
  };
  const paths = () => groups.map((group) => group.paths.map(({ path }) => path));
  return { clock, coalescer, groups, done: read(), paths, overflows };
}

test("a finished write on a known path is passed on without any wait", async (t) => {
  const { clock, coalescer, paths } = bench({ known: ["/a/f"] });
  await clock.advance(0);
  coalescer.add(hint("/a/f", "closed"));
  await clock.advance(0);
  t.deepEqual(paths(), [["/a/f"]]);
});

test("a hint that nothing would come of is not kept, unless its path waits for other reasons", async (t) => {
  const clock = new HeldClock();
  const coalescer = new Coalescer({
    isKnown: () => true,
    isIdle: ({ step }) => step === "closed",
    clock,
  });
  coalescer.add(hint("/a/f", "closed"));
  t.is(coalescer.size, 0);
  coalescer.add(hint("/a/f", "attributes"));
  coalescer.add(hint("/a/f", "closed"));
  coalescer.end();
  const reported: (readonly Step[])[] = [];
  for await (const { paths } of coalescer) reported.push(...paths.map(({ steps }) => steps));
  t.deepEqual(reported, [["attributes", "closed"]]);
});

test("with the real clock, too, that needs no timer", async (t) => {
  const armed: number[] = [];
  const clock = {
    now: () => systemClock.now(),
    after(milliseconds: number, run: () => void) {
      armed.push(milliseconds);
      return systemClock.after(milliseconds, run);
    },
  };
  const coalescer = new Coalescer({ isKnown: () => true, clock });
  const reader = coalescer[Symbol.asyncIterator]();
  const next = reader.next();
  coalescer.add(hint("/a/f", "closed"));
  const { value } = await next;
  t.is(value?.paths[0]?.path, "/a/f");
  t.true(armed.length > 0 && armed.every((milliseconds) => milliseconds <= 0));
});

test("who wrote is reported after who only closed the file or changed its attributes, and of these it is said", async (t) => {
  const { clock, coalescer, groups } = bench({ known: ["/a/f", "/a/g"] });
  const [writer, reader, owner] = [{ pid: 1 }, { pid: 2 }, { pid: 3 }];
  coalescer.add(hint("/a/f", "modified", { actor: writer }));
  coalescer.add(hint("/a/f", "closed", { actor: reader }));
  coalescer.add(hint("/a/g", "modified", { actor: writer }));
  coalescer.add(hint("/a/g", "closed", { actor: writer }));
  coalescer.add(hint("/a/g", "attributes", { actor: owner }));
  await clock.advance(300);
  const reported = new Map(groups.flatMap((group) => group.paths.map((one) => [one.path, one])));
  t.deepEqual(reported.get("/a/f")?.actors, [{ ...reader, only: "closed" }, writer]);
  t.deepEqual(reported.get("/a/g")?.actors, [{ ...owner, only: "attributes" }, writer]);
});

test("a temporary file renamed over its target comes with it, as one group", async (t) => {
  const { clock, coalescer, groups, paths } = bench({ known: ["/a/f"] });
  for (const step of ["created", "modified", "closed"] as const) {
    coalescer.add(hint("/a/.tmp", step));
    await clock.advance(5);
  }
  coalescer.add(hint("/a/f", "renamed", { from: "/a/.tmp" }));
  await clock.advance(29);
  t.deepEqual(groups, []);
  await clock.advance(1);
  t.deepEqual(
    paths().map((group) => group.toSorted()),
    [["/a/.tmp", "/a/f"]],
  );
  t.deepEqual(groups[0]?.paths.find(({ path }) => path === "/a/f")?.from, ["/a/.tmp"]);
});

test("vim's save by backup is one group", async (t) => {
  const { clock, coalescer, paths } = bench({ known: ["/a/f"] });
  coalescer.add(hint("/a/f~", "renamed", { from: "/a/f" }));
  for (const step of ["created", "modified", "closed"] as const) coalescer.add(hint("/a/f", step));
  await clock.advance(10);
  coalescer.add(hint("/a/f~", "deleted"));
  await clock.advance(200);
  t.deepEqual(
    paths().map((group) => group.toSorted()),
    [["/a/f", "/a/f~"]],
  );
});

test("both names of a rename between directories come together although one is due much earlier", async (t) => {
  const { clock, coalescer, paths } = bench({ known: ["/a/f"] });
  coalescer.add(hint("/b/f", "renamed", { from: "/a/f" }));
  coalescer.add(hint("/b/f", "modified"));
  await clock.advance(1000);
  t.deepEqual(
    paths().map((group) => group.toSorted()),
    [["/a/f", "/b/f"]],
  );
});

test("an engine without rename events has both names in one group by time", async (t) => {
  const { clock, coalescer, paths } = bench({ known: ["/a/f"] });
  coalescer.add(hint("/a/f", "deleted", { engine: "chokidar" }));
  await clock.advance(2);
  coalescer.add(hint("/b/g", "created", { engine: "chokidar" }));
  await clock.advance(40);
  t.deepEqual(paths(), [["/a/f", "/b/g"]]);
});

test("each hint makes a path wait again, but never longer than the longest wait", async (t) => {
  const { clock, coalescer, paths } = bench({ known: ["/a/f"] });
  for (let waited = 0; waited < longestWait - 100; waited += 100) {
    coalescer.add(hint("/a/f", "modified"));
    await clock.advance(100);
    t.deepEqual(paths(), []);
  }
  coalescer.add(hint("/a/f", "modified"));
  await clock.advance(99);
  t.deepEqual(paths(), []);
  await clock.advance(1);
  t.deepEqual(paths(), [["/a/f"]]);
});

test("the steps are reported in order with their times and the last actor of each, once", async (t) => {
  const { clock, coalescer, groups } = bench({ known: ["/a/f"] });
  const early: Actor = { pid: 7, exe: "/usr/bin/vi" };
  const late: Actor = { pid: 7, exe: "/usr/bin/vi", uid: 0 };
  coalescer.add({ ...hint("/a/f", "modified", { actor: early }), at: 10 });
  coalescer.add({ ...hint("/a/f", "modified"), at: 11 });
  coalescer.add({ ...hint("/a/f", "closed", { actor: late }), at: 12.5 });
  await clock.advance(0);
  t.deepEqual(groups[0]?.paths, [
    {
      path: "/a/f",
      engine: "fanotify",
      steps: ["modified", "closed"],
      firstAt: 10,
      lastAt: 12.5,
      from: [],
      actors: [late],
    },
  ]);
});

test("a file that is still being written is not dragged along by its directory", async (t) => {
  const { clock, coalescer, paths } = bench();
  coalescer.add(hint("/a/done", "created"));
  coalescer.add(hint("/a/half", "created"));
  coalescer.add(hint("/a/half", "modified"));
  await clock.advance(30);
  t.deepEqual(paths(), [["/a/done"]]);
});

test("a tree takes along what is hinted below it, so that nothing is looked at twice", async (t) => {
  const { clock, coalescer, groups } = bench();
  coalescer.add(tree("/a/t"));
  coalescer.add(hint("/a/t/x", "modified"));
  coalescer.add(hint("/a/t", "created"));
  coalescer.add(hint("/a/tx", "attributes"));
  await clock.advance(30);
  t.is(groups.length, 1);
  t.deepEqual(
    groups[0]?.trees.map(({ path }) => path),
    ["/a/t"],
  );
  t.deepEqual(groups[0]?.paths.map(({ path }) => path).toSorted(), ["/a/t", "/a/t/x", "/a/tx"]);
});

test("a renamed directory's old name comes with the tree at its new one", async (t) => {
  const { clock, coalescer, groups } = bench({ known: ["/a/old"] });
  coalescer.add(hint("/b/new", "renamed", { from: "/a/old" }));
  await clock.advance(14);
  coalescer.add(tree("/b/new"));
  await clock.advance(30);
  t.is(groups.length, 1);
  t.deepEqual(groups[0]?.paths.map(({ path }) => path).toSorted(), ["/a/old", "/b/new"]);
});

test("a tree swallows the trees below it", async (t) => {
  const { clock, coalescer, groups } = bench();
  for (const path of ["/a/b", "/a", "/a/c"]) coalescer.add(tree(path));
  await clock.advance(30);
  t.deepEqual(
    groups.map(({ trees }) => trees.map(({ path }) => path)),
    [["/a"]],
  );
});

test("overflow, mounts and failures do not wait", async (t) => {
  const { clock, coalescer, groups } = bench();
  await clock.advance(0);
  const overflow: Hint = { kind: "overflow", engine: "fanotify", at: 1, detail: "lost" };
  coalescer.add(overflow);
  await clock.advance(0);
  t.deepEqual(groups, [{ paths: [], trees: [], others: [overflow] }]);
});

test("nor do they when the clock has moved on between two readings", async (t) => {
  const held = new HeldClock();
  let readings = 0;
  const clock = {
    now: () => held.now() + (readings += 1e-6),
    after: (milliseconds: number, run: () => void) => held.after(milliseconds, run),
  };
  const coalescer = new Coalescer({ isKnown: () => true, clock });
  const groups: HintGroup[] = [];
  const done = (async () => {
    for await (const group of coalescer) groups.push(group);
  })();
  const overflow: Hint = { kind: "overflow", engine: "fanotify", at: 1, detail: "lost" };
  coalescer.add(overflow);
  coalescer.add(hint("/a/f", "closed"));
  for (let turn = 0; turn < 3; turn += 1) await held.advance(1);
  t.deepEqual(
    groups.flatMap(({ others }) => others),
    [overflow],
  );
  t.deepEqual(
    groups.flatMap(({ paths }) => paths.map(({ path }) => path)),
    ["/a/f"],
  );
  coalescer.end();
  await done;
});

test("a storm below one directory becomes one tree, reported as an overflow, and hints elsewhere stay", async (t) => {
  const { clock, coalescer, groups, overflows } = bench({ mostPending: 100 });
  coalescer.add(hint("/b/f", "created"));
  for (let count = 0; count < 1000; count += 1) coalescer.add(hint(`/a/deep/${count}`, "created"));
  t.true(coalescer.size <= 101);
  t.deepEqual(overflows, ["fanotify: 100 hints waited below it: /a/deep"]);
  await clock.advance(30);
  t.deepEqual(
    groups.flatMap(({ trees }) => trees.map(({ path }) => path)),
    ["/a/deep"],
  );
  t.deepEqual(
    groups.flatMap(({ paths }) => paths.map(({ path }) => path)),
    ["/b/f"],
  );
});

test("groups are bounded", async (t) => {
  const { clock, coalescer, groups } = bench({ mostPaths: 10 });
  for (let count = 0; count < 35; count += 1) coalescer.add(hint(`/a/${count}`, "created"));
  await clock.advance(30);
  t.deepEqual(
    groups.map(({ paths }) => paths.length),
    [10, 10, 10, 5],
  );
});

test("all that is known of what lies below a tree comes with it, however much", async (t) => {
  const { clock, coalescer, groups } = bench({ mostPaths: 10 });
  const maker = { pid: 7 };
  coalescer.add(tree("/a/new"));
  for (let count = 0; count < 35; count += 1)
    coalescer.add(hint(`/a/new/${count}`, "created", { actor: maker }));
  await clock.advance(30);
  t.is(groups.length, 1);
  t.is(groups[0]?.paths.length, 35);
  t.true(groups[0]?.paths.every(({ actors }) => actors[0] === maker));
});

test("at the end everything that waits is passed on, then the reader is done", async (t) => {
  const { clock, coalescer, done, paths } = bench();
  coalescer.add(hint("/a/f", "modified"));
  await clock.advance(0);
  coalescer.end();
  await done;
  t.deepEqual(paths(), [["/a/f"]]);
  coalescer.add(hint("/a/g", "modified"));
  t.is(coalescer.size, 0);
});

test("whatever comes, every hinted path is passed on within the longest wait, and is in no group it was not hinted for", async (t) => {
  const name = fc.constantFrom("/a/x", "/a/y", "/b/x", "/b", "/b/c/z");
  const step = fc.constantFrom<Step>(
    "created",
    "deleted",
    "renamed",
    "modified",
    "closed",
    "attributes",
  );
  const action = fc.record({
    path: name,
    step,
    from: fc.option(name, { nil: undefined }),
    wait: fc.nat(60),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { maxLength: 30 }),
      fc.array(name),
      async (actions, known) => {
        const { clock, coalescer, groups, done } = bench({ known });
        const waiting = new Map<string, number>();
        let counted = 0;
        const quietTime = () => {
          for (const { paths } of groups.slice(counted)) {
            for (const { path } of paths) {
              if (!waiting.delete(path)) throw new Error(`${path} was not hinted`);
            }
          }
          counted = groups.length;
          for (const since of waiting.values()) {
            if (clock.now() - since > longestWait) throw new Error("waited too long");
          }
        };
        for (const { path, step: kind, from, wait } of actions) {
          const more = kind === "renamed" && from !== undefined ? { from } : {};
          coalescer.add(hint(path, kind, more));
          for (const one of [path, ...Object.values(more)]) {
            if (!waiting.has(one)) waiting.set(one, clock.now());
          }
          await clock.advance(wait);
          quietTime();
        }
        await clock.advance(longestWait);
        quietTime();
        coalescer.end();
        await done;
        return waiting.size === 0;
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});

test("who took a step is reported also when another takes the same step after it", async (t) => {
  const { clock, coalescer, groups } = bench({ known: ["/a/f"] });
  const actors: readonly Actor[] = [
    { pid: 1, exe: "/usr/bin/evil" },
    { pid: 2, exe: "/usr/bin/sed" },
  ];
  for (const actor of actors)
    for (const step of ["modified", "closed"] as const)
      coalescer.add(hint("/a/f", step, { actor }));
  await clock.advance(0);
  t.deepEqual(groups[0]?.paths[0]?.actors, actors);
});

test("of many processes of one program the last ones are kept, and every other program", async (t) => {
  const { clock, coalescer, groups } = bench({ known: ["/a/f"] });
  const stranger: Actor = { pid: 1, exe: "/usr/bin/evil" };
  coalescer.add(hint("/a/f", "modified", { actor: stranger }));
  for (let pid = 2; pid < 2000; pid += 1)
    coalescer.add(hint("/a/f", "modified", { actor: { pid, exe: "/usr/bin/sed" } }));
  coalescer.add(hint("/a/f", "closed"));
  await clock.advance(0);
  const actors = groups[0]?.paths[0]?.actors ?? [];
  t.deepEqual(actors[0], stranger);
  t.is(actors.at(-1)?.pid, 1999);
  t.true(actors.length <= 64);
});

const imageAt = (exe: string, from: number) => ({
  id: `${from}`,
  from,
  since: from,
  comm: exe,
  exe,
});

test("a proven description of a process does not replace an earlier one that was not", async (t) => {
  const { clock, coalescer, groups } = bench({ known: ["/a/f"] });
  const images = [imageAt("tee", 2), imageAt("python", 1)];
  coalescer.add(hint("/a/f", "modified", { actor: { pid: 7, exe: "tee", images } }));
  coalescer.add(hint("/a/f", "closed", { actor: { pid: 7, exe: "tee", isProven: true } }));
  await clock.advance(longestWait);
  t.deepEqual(groups[0]?.paths[0]?.actors, [{ pid: 7, exe: "tee", images }]);
});

test("after a proven description every note of the process's later programs counts", async (t) => {
  const { clock, coalescer, groups } = bench({ known: ["/a/f"] });
  const images = [imageAt("tee", 2), imageAt("python", 1)];
  coalescer.add(hint("/a/f", "modified", { actor: { pid: 7, exe: "tee", isProven: true } }));
  coalescer.add(hint("/a/f", "closed", { actor: { pid: 7, exe: "tee", images } }));
  await clock.advance(longestWait);
  const [actor] = groups[0]?.paths[0]?.actors ?? [];
  t.deepEqual(
    actor?.images?.map(({ exe, since }) => [exe, since]),
    [
      ["tee", 0],
      ["python", 0],
    ],
  );
});

test("the programs of a process that executes without end are bounded, and nothing is proven then", async (t) => {
  const { clock, coalescer, groups } = bench({ known: ["/a/f"] });
  for (let at = 1; at <= 100; at += 1) {
    const actor = { pid: 7, exe: "tee", images: [imageAt("tee", at)] };
    coalescer.add(hint("/a/f", "modified", { actor }));
  }
  await clock.advance(longestWait);
  const [actor] = groups[0]?.paths[0]?.actors ?? [];
  t.true((actor?.images?.length ?? 99) <= 17);
  t.is(actor?.images?.at(-1)?.from, 0);
});
