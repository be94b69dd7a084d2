import test from "ava";
import {
  appendFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { compare } from "../../src/core/change/compare.ts";
import type { Observation } from "../../src/core/change/observation.ts";
import { isStale, Looks, siblingsOf, wantOf } from "../../src/reconcile/look.ts";
import type { NodeView, Want } from "../../src/reconcile/look.ts";
import { seen } from "../helpers/judged.ts";
import { inShort, makeBench } from "./bench.ts";
import type { Bench } from "./bench.ts";

const looked = (bench: Bench): readonly string[] => bench.looked.map(({ path }) => path);

function wants(bench: Bench, path: string): Want | undefined {
  const rule = bench.view.index.find(path)?.rule;
  return rule && wantOf(path, rule, bench.view);
}

test("what is read of a file is decided by the class of its rule", (t) => {
  using bench = makeBench();
  bench.write("/w/log/audit.log", "one\n");
  for (const name of ["1.wal", "2.wal", "9.tmp"]) bench.write(`/w/sealed/${name}`, name);
  bench.learn();
  t.deepEqual(wants(bench, "/w/a"), { hash: true });
  t.deepEqual(wants(bench, "/w/volatile/db"), { hash: false });
  t.deepEqual(wants(bench, "/w/sealed/1.wal"), { hash: true });
  t.deepEqual(wants(bench, "/w/sealed/2.wal"), { hash: false });
  t.deepEqual(wants(bench, "/w/log/audit.log"), { hash: true, prefix: 4 });
  t.deepEqual(wants(bench, "/w/log/new.log"), { hash: true });
});

test("siblings are the other names under the same rule in the same directory", (t) => {
  using bench = makeBench();
  for (const name of ["1.wal", "2.wal", "0.tmp", "x"]) bench.write(`/w/sealed/${name}`, name);
  const rule = bench.view.index.find("/w/sealed/1.wal")?.rule;
  t.deepEqual(rule && siblingsOf("/w/sealed/1.wal", rule, bench.view), ["2.wal"]);
  t.deepEqual(rule && siblingsOf("/w/none/1.wal", rule, bench.view), []);
});

test("one hint leads to each path it concerns, once, a directory before what is in it", async (t) => {
  using bench = makeBench();
  bench.learn();
  for (const path of ["/w/d/a", "/w/d/e/b", "/w/d/e/c"]) bench.write(path, path);
  const changes = await bench.look(["/w/d"]);
  t.deepEqual(looked(bench), ["/w/d", "/w/d/a", "/w/d/e", "/w/d/e/b", "/w/d/e/c"]);
  t.deepEqual(
    inShort(changes),
    looked(bench).map((path) => `created ${path}`),
  );

  rmSync(bench.at("/w/d"), { recursive: true });
  t.deepEqual(
    inShort(await bench.look(["/w/d"])),
    ["/w/d", "/w/d/a", "/w/d/e", "/w/d/e/b", "/w/d/e/c"].map((path) => `deleted ${path}`),
  );
  t.deepEqual(await bench.look(["/w/d"]), []);
});

test("a new name of a known inode leads to the old one, which no process hinted", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "a");
  bench.learn();
  renameSync(bench.at("/w/a"), bench.at("/w/b"));
  t.deepEqual(inShort(await bench.look(["/w/b"])), ["renamed /w/b <- /w/a"]);
  linkSync(bench.at("/w/b"), bench.at("/w/c"));
  t.deepEqual(inShort(await bench.look(["/w/c"])), ["created /w/c", "modified /w/b links"]);
});

test("an engine that names only the directory has its new and missing entries found", async (t) => {
  using bench = makeBench();
  for (const name of ["keep", "gone"]) bench.write(`/w/d/${name}`, name);
  bench.learn();
  rmSync(bench.at("/w/d/gone"));
  bench.write("/w/d/new", "new");
  t.deepEqual(inShort(await bench.look(["/w/d"])), ["created /w/d/new", "deleted /w/d/gone"]);
  t.false(looked(bench).includes("/w/d/keep"));
});

test("a directory that is not watched itself leads to the watched file inside it", async (t) => {
  using bench = makeBench();
  bench.learn();
  bench.write("/later/deep/file", "now");
  t.deepEqual(inShort(await bench.look(["/later"])), ["created /later/deep/file"]);
});

test("a path that no rule matches is not looked at, unless it is still known", async (t) => {
  using bench = makeBench();
  bench.write("/other", "x");
  t.deepEqual(await bench.look(["/other"]), []);
  t.deepEqual(bench.looked, [{ path: "/other" }]);
  bench.current.put("/other", seen());
  t.deepEqual(await bench.look(["/other"]), []);
  t.is(bench.current.get("/other"), undefined);
});

test("a segment gets its digest when its successor appears, and only then", async (t) => {
  using bench = makeBench();
  bench.write("/w/sealed/1.wal", "one");
  bench.learn();
  t.is(bench.current.get("/w/sealed/1.wal")?.sha256, undefined);
  appendFileSync(bench.at("/w/sealed/1.wal"), " more");
  t.deepEqual(await bench.look(["/w/sealed/1.wal"]), []);
  t.is(bench.current.get("/w/sealed/1.wal")?.sha256, undefined);
  appendFileSync(bench.at("/w/sealed/1.wal"), " last");
  bench.write("/w/sealed/2.wal", "two");
  t.deepEqual(inShort(await bench.look(["/w/sealed/2.wal"])), [
    "created /w/sealed/2.wal (approved)",
  ]);
  t.is(bench.current.get("/w/sealed/1.wal")?.sha256?.length, 64);
  appendFileSync(bench.at("/w/sealed/1.wal"), "!");
  t.deepEqual(inShort(await bench.look(["/w/sealed/1.wal"])), ["modified /w/sealed/1.wal content"]);
});

test("two successors at once are both expected, one among the old is not, nor is another file of the newest name", async (t) => {
  using bench = makeBench();
  for (const name of ["1.wal", "3.wal"]) bench.write(`/w/sealed/${name}`, name);
  bench.write("/w/sealed/0.tmp", "prepared");
  bench.learn();
  bench.write("/w/sealed/4.wal", "four");
  renameSync(bench.at("/w/sealed/0.tmp"), bench.at("/w/sealed/5.wal"));
  t.deepEqual(inShort(await bench.look(["/w/sealed/4.wal", "/w/sealed/5.wal"])), [
    "created /w/sealed/4.wal (approved)",
    "renamed /w/sealed/5.wal <- /w/sealed/0.tmp (approved)",
  ]);
  bench.write("/w/sealed/2.wal", "two");
  t.deepEqual(inShort(await bench.look(["/w/sealed/2.wal"])), ["created /w/sealed/2.wal"]);
  writeFileSync(bench.at("/w/evil"), readFileSync(bench.at("/w/sealed/5.wal")));
  await bench.look(["/w/evil"]);
  renameSync(bench.at("/w/evil"), bench.at("/w/sealed/5.wal"));
  const [replaced] = await bench.look(["/w/sealed/5.wal"]);
  t.is(replaced?.verdict, "unexpected");
  t.is(replaced?.severity, "high");
});

test("a database that is replaced by the copy that was made beside it is nothing to report", async (t) => {
  using bench = makeBench();
  bench.write("/w/volatile/db", "old");
  bench.learn();
  bench.write("/w/volatile/tmp1", "compacted");
  t.deepEqual(inShort(await bench.look(["/w/volatile/tmp1"])), [
    "created /w/volatile/tmp1 (approved)",
  ]);
  renameSync(bench.at("/w/volatile/tmp1"), bench.at("/w/volatile/db"));
  t.deepEqual(await bench.look(["/w/volatile/db", "/w/volatile/tmp1"]), []);
  t.is(bench.current.get("/w/volatile/tmp1"), undefined);
  t.is(bench.current.get("/w/volatile/db")?.size, 9);
});

test("a log that grows is nothing to report, one that is rewritten is", async (t) => {
  using bench = makeBench();
  const log = "/w/log/audit.log";
  bench.write(log, "one\n");
  bench.learn();
  appendFileSync(bench.at(log), "two\n");
  t.deepEqual(await bench.look([log]), []);
  writeFileSync(bench.at(log), "ONE\ntwo\nthree\n");
  t.deepEqual(inShort(await bench.look([log])), [`modified ${log} content`]);
});

test("what is larger than a mebibyte is hashed elsewhere, and reported as what it is", async (t) => {
  using bench = makeBench();
  let elsewhere = 0;
  const { observeLarge } = bench.view;
  const view = bench.view as { observeLarge: typeof observeLarge };
  view.observeLarge = async (path, want, found) => {
    elsewhere += 1;
    return await observeLarge(path, want, found);
  };
  bench.write("/w/small", "x");
  bench.write("/w/large", "x".repeat((1 << 20) + 1));
  bench.learn();
  for (const name of ["small", "large"]) appendFileSync(bench.at(`/w/${name}`), "y");
  const changes = await bench.look(["/w/small", "/w/large"]);
  t.deepEqual(inShort(changes), ["modified /w/large content", "modified /w/small content"]);
  t.is(elsewhere, 1);
  t.is(bench.current.get("/w/large")?.sha256?.length, 64);
});

test("a row is written again when anything of it differs", (t) => {
  const path = "/w/a";
  t.false(isStale({ path }));
  t.false(isStale({ path, before: seen(), after: seen() }));
  t.true(isStale({ path, before: seen() }));
  t.true(isStale({ path, after: seen() }));
  t.true(
    isStale({ path, before: seen(), after: seen({ ctime: "2026-11-24T00:00:00.000000000Z" }) }),
  );
});

test("an empty directory that appears is one change", async (t) => {
  using bench = makeBench();
  bench.learn();
  mkdirSync(bench.at("/w/empty"));
  t.deepEqual(inShort(await bench.look(["/w/empty", "/w"])), ["created /w/empty"]);
});

test("what cannot be looked at for a while is compared with what it was before", async (t) => {
  using bench = makeBench();
  const before = seen({ type: "file", sha256: "ab".repeat(32) });
  const blank = { ...before, mode: 0, size: 0, ino: "0", nlink: 0, unreadable: "EACCES" };
  const { sha256: _, ...unhashed } = blank;
  let stored: Observation = before;
  let now: Observation = unhashed;
  const view: NodeView = {
    index: bench.view.index,
    observer: { observe: () => now, list: () => [] },
    observeLarge: () => Promise.resolve(now),
    known: { get: () => stored, below: () => [], findByInode: () => [] },
    walk: () => [],
  };
  const look = async () => {
    const looks = new Looks(view);
    await looks.at("/w/a");
    return looks.get("/w/a") ?? t.fail();
  };
  const hidden = await look();
  t.is(compare(hidden)?.kind, "unreadable");
  stored = hidden.after ?? before;
  t.is(compare(await look()), undefined);
  now = before;
  t.is(compare(await look()), undefined);
  now = { ...before, sha256: "cd".repeat(32) };
  t.like(compare(await look()), { kind: "modified", fields: ["content"] });
});
