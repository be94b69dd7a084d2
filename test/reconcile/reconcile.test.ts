import test from "ava";
import fc from "fast-check";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import type { Actor } from "../../src/core/change/hint.ts";
import { reconcile } from "../../src/reconcile/reconcile.ts";
import { tmpfs } from "../helpers/judged.ts";
import { inShort, makeBench, now } from "./bench.ts";
import type { Bench } from "./bench.ts";

const vi: Actor = { pid: 41, exe: "/usr/bin/vi" };
const sh: Actor = { pid: 42, exe: "/bin/sh" };

test("an editor's save is one modification that says the temporary name, reported or guessed", async (t) => {
  for (const from of [["/w/.a.swp"], []]) {
    using bench = makeBench();
    bench.write("/w/a", "old");
    bench.learn();
    bench.write("/w/.a.swp", "new");
    renameSync(bench.at("/w/.a.swp"), bench.at("/w/a"));
    const changes = await bench.look([
      { path: "/w/a", steps: ["renamed"], from },
      { path: "/w/.a.swp", steps: ["created", "modified", "renamed"] },
    ]);
    t.deepEqual(inShort(changes), ["modified /w/a content,inode"]);
    const [reported] = changes;
    t.is(reported?.change.kind === "modified" ? reported.change.via : "", "/w/.a.swp");
  }
});

test("with two names that vanished, no temporary name is guessed", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "old");
  bench.learn();
  bench.write("/w/t", "new");
  renameSync(bench.at("/w/t"), bench.at("/w/a"));
  const [reported, ...others] = await bench.look(["/w/a", "/w/t", "/w/u"]);
  t.deepEqual(others, []);
  t.is(reported?.change.kind === "modified" ? reported.change.via : "", undefined);
});

test("a known file renamed over another is one rename, which reports what was overwritten", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "aa");
  bench.write("/w/grave/b", "b");
  bench.learn();
  renameSync(bench.at("/w/a"), bench.at("/w/grave/b"));
  const changes = await bench.look(["/w/grave/b"]);
  t.deepEqual(inShort(changes), ["renamed /w/grave/b <- /w/a content,inode"]);
  const [reported] = changes;
  t.is(reported?.change.kind === "renamed" ? reported.change.before.size : 0, 1);
  t.is(reported?.severity, "critical");
  t.is(bench.current.get("/w/a"), undefined);
});

test("a rename is judged by the moreSevere of its two names, in both directions", async (t) => {
  using bench = makeBench();
  bench.write("/w/grave/a", "a");
  bench.learn();
  renameSync(bench.at("/w/grave/a"), bench.at("/w/a"));
  t.is((await bench.look(["/w/a"]))[0]?.rule, "t/grave");
  renameSync(bench.at("/w/a"), bench.at("/w/grave/b"));
  t.is((await bench.look(["/w/grave/b"]))[0]?.rule, "t/grave");
});

test("a renamed directory is one change, judged by the most severe that it carries", async (t) => {
  using bench = makeBench();
  bench.write("/w/grave/sub/a", "a");
  bench.write("/w/grave/sub/b", "b");
  bench.learn();
  renameSync(bench.at("/w/grave"), bench.at("/w/away"));
  const changes = await bench.look(["/w/away", "/w/grave"]);
  t.deepEqual(inShort(changes), ["renamed /w/away <- /w/grave"]);
  const [reported] = changes;
  t.is(reported?.change.kind === "renamed" ? reported.change.count : 0, 3);
  t.is(reported?.severity, "critical");
  t.truthy(bench.current.get("/w/away/sub/b"));
});

test("a file that came and went is reported from the kernel's word, and from no guess", async (t) => {
  using bench = makeBench();
  bench.learn();
  t.deepEqual(await bench.look([{ path: "/w/x", steps: ["changed"] }]), []);
  const steps = ["created", "modified", "closed", "deleted"] as const;
  t.deepEqual(inShort(await bench.look([{ path: "/w/x", steps }])), [
    "transient /w/x created,modified,deleted",
  ]);
});

test("a mode that was changed and put back is reported by the steps", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  bench.learn();
  const { mode } = statSync(bench.at("/w/a"));
  chmodSync(bench.at("/w/a"), 0o777);
  chmodSync(bench.at("/w/a"), mode);
  t.deepEqual(inShort(await bench.look([{ path: "/w/a", steps: ["attributes"] }])), [
    "transient /w/a attributes",
  ]);
  t.deepEqual(await bench.look([{ path: "/w/a", steps: ["attributes"] }]), []);
});

test("who and when are those of the path's own hints, of the old name's, or unknown and now", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  bench.write("/w/b", "b");
  bench.learn();
  writeFileSync(bench.at("/w/a"), "A");
  renameSync(bench.at("/w/b"), bench.at("/w/c"));
  bench.write("/w/d/e", "e");
  const changes = await bench.look([
    { path: "/w/a", actors: [vi], lastAt: 5, engine: "fanotify" },
    { path: "/w/b", actors: [sh], lastAt: 6, engine: "fanotify" },
    { path: "/w/d", lastAt: 8 },
    { path: "/w/c", lastAt: 7 },
  ]);
  const origins = Object.fromEntries(
    changes.map(({ change, actor, at, engine }) => [change.path, [actor?.pid, at, engine]]),
  );
  t.deepEqual(origins, {
    "/w/a": [41, 5, "fanotify"],
    "/w/c": [42, 7, "chokidar"],
    "/w/d": [undefined, 8, "chokidar"],
    "/w/d/e": [undefined, now, "sweep"],
  });
});

test("what happened while the agent was down says so, and nothing else does", async (t) => {
  using bench = makeBench();
  bench.learn();
  bench.write("/w/a", "a");
  t.true((await bench.look(["/w/a"], { offline: true }))[0]?.offline);
  bench.write("/w/a", "b");
  t.is((await bench.look(["/w/a"]))[0]?.offline, undefined);
});

test("a mount is judged by the most severe that it can hide", async (t) => {
  using bench = makeBench();
  const mount = { ...tmpfs, path: "/w" };
  const hint = { kind: "mounted", engine: "mounts", at: 9, mount } as const;
  const parts = { view: bench.view, commit: () => undefined, now: () => now };
  const [reported] = await reconcile({ paths: [], mounts: [hint], offline: false }, parts);
  t.is(reported?.change.kind, "mounted");
  t.is(reported?.rule, "t/grave");
  t.is(reported?.severity, "critical");
  t.is(reported?.at, 9);
  t.is(reported?.engine, "mounts");
  const elsewhere = { ...hint, mount: { ...mount, path: "/unrelated" } };
  t.deepEqual(await reconcile({ paths: [], mounts: [elsewhere], offline: false }, parts), []);
});

function commitToFullDisk(): void {
  throw new Error("disk full");
}

test("what cannot be stored raises an error at the caller", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  const hint = {
    path: "/w/a",
    steps: [],
    from: [],
    actors: [],
    lastAt: 1,
    engine: "sweep",
  } as const;
  await t.throwsAsync(
    reconcile(
      { paths: [hint], mounts: [], offline: false },
      { view: bench.view, commit: commitToFullDisk, now: () => now },
    ),
    { message: "disk full" },
  );
  t.is(bench.current.get("/w/a"), undefined);
});

type Operation =
  | { readonly op: "write"; readonly path: string; readonly text: string }
  | { readonly op: "chmod"; readonly path: string; readonly mode: number }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "move"; readonly path: string; readonly to: string };

const paths = ["/w/a", "/w/b", "/w/grave/a", "/w/d/a", "/w/d", "/w/e"];
const path = fc.constantFrom(...paths);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ op: fc.constant("write" as const), path, text: fc.constantFrom("x", "yy", "zzz") }),
  fc.record({ op: fc.constant("chmod" as const), path, mode: fc.constantFrom(0o600, 0o755) }),
  fc.record({ op: fc.constant("remove" as const), path }),
  fc.record({ op: fc.constant("move" as const), path, to: path }),
);

/** Plays one operation as far as it is possible. */
function play(bench: Bench, operation_: Operation): void {
  try {
    const at = bench.at(operation_.path);
    if (operation_.op === "write") bench.write(operation_.path, operation_.text);
    else if (operation_.op === "chmod") chmodSync(at, operation_.mode);
    else if (operation_.op === "remove") rmSync(at, { recursive: true, force: true });
    else renameSync(at, bench.at(operation_.to));
  } catch {
    // A directory where a file is expected, or nothing at all.
  }
}

function everything(bench: Bench): readonly string[] {
  return readdirSync(bench.at("/w"), { recursive: true, encoding: "utf8" })
    .map((name) => `/w/${name}`)
    .toSorted();
}

test("whatever is done, hints at the touched paths lead to the final state, which is reported once", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 8 }), async (operations) => {
      using bench = makeBench();
      for (const dir of ["/w/grave", "/w/d"]) mkdirSync(bench.at(dir));
      bench.write("/w/a", "first");
      bench.write("/w/d/a", "second");
      bench.learn();
      for (const one of operations) play(bench, one);
      const touched = operations.flatMap((one) =>
        one.op === "move" ? [one.path, one.to] : [one.path],
      );
      await bench.look([...new Set(["/w", ...touched])]);
      const known = [...bench.current.paths()].filter((one) => one !== "/w").toSorted();
      t.deepEqual(known, everything(bench));
      for (const one of known) {
        const stats = statSync(bench.at(one));
        t.is(bench.current.get(one)?.ino, String(stats.ino));
        if (stats.isFile()) t.is(bench.current.get(one)?.size, readFileSync(bench.at(one)).length);
      }
      t.deepEqual(await bench.look(["/w", ...touched, ...known]), []);
      t.true(existsSync(bench.at("/w")));
    }),
    { numRuns: 40 },
  );
});
