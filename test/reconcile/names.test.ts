import { chmodSync, linkSync, renameSync, rmSync, symlinkSync } from "node:fs";
import test from "ava";
import type { Actor } from "../../src/core/change/hint.ts";
import { Looks } from "../../src/reconcile/look.ts";
import { inShort, makeBench } from "./bench.ts";

const mv: Actor = { pid: 9, exe: "/usr/bin/mv" };
const sh: Actor = { pid: 7, exe: "/usr/bin/dash" };
const by = (actor: Actor) => ({ engine: "fanotify", actors: [actor] }) as const;

test("who made something at the old name afterwards did not do the rename", async (t) => {
  using bench = makeBench();
  bench.write("/w/dir/file", "content");
  bench.learn();
  renameSync(bench.at("/w/dir"), bench.at("/w/moved"));
  bench.write("/w/dir/file", "other");
  const changes = await bench.look([
    { path: "/w/moved", from: ["/w/dir"], steps: ["renamed"], ...by(mv) },
    { path: "/w/dir", engine: "fanotify", steps: ["renamed", "created"], actors: [mv, sh] },
  ]);
  const doneBy = changes.map(({ change, actor }) => `${change.kind} ${change.path} ${actor?.exe}`);
  t.true(doneBy.includes("renamed /w/moved /usr/bin/mv"), doneBy.join());
  t.true(doneBy.includes("modified /w/dir /usr/bin/dash"), doneBy.join());
});

test("with the kernel's word a name that was there for a moment is no source of a replaced file", async (t) => {
  for (const engine of ["fanotify", "chokidar"] as const) {
    using bench = makeBench();
    bench.write("/w/f", "old");
    bench.learn();
    renameSync(bench.at("/w/f"), bench.at("/kept"));
    bench.write("/w/f", "new!");
    const reported = await bench.look([
      { path: "/w/f", engine, steps: ["deleted", "created", "closed"] },
      { path: "/w/evil", engine, steps: ["created", "closed", "deleted"] },
    ]);
    const via = reported.map(({ change }) => ("via" in change ? change.via : undefined));
    if (engine === "chokidar") t.deepEqual(via, ["/w/evil"]);
    else
      t.deepEqual(
        reported.map(({ change }) => change.kind),
        ["modified", "transient"],
      );
    if (engine === "fanotify") t.deepEqual(via, [undefined, undefined]);
  }
});

test("one more name of a file that stayed is not the new name of a deleted file of the same content", async (t) => {
  using bench = makeBench();
  bench.write("/w/gone", "the same");
  bench.write("/w/kept", "the same");
  bench.learn();
  rmSync(bench.at("/w/gone"));
  linkSync(bench.at("/w/kept"), bench.at("/w/link"));
  const reported = await bench.look(["/w/gone", "/w/link"]);
  t.deepEqual(inShort(reported), ["created /w/link", "deleted /w/gone", "modified /w/kept links"]);
});

test("the process that moved a directory is reported for what was in it", async (t) => {
  using bench = makeBench();
  bench.write("/w/dir/sub/file", "x");
  bench.learn();
  renameSync(bench.at("/w/dir"), bench.at("/elsewhere"));
  const moved = { path: "/w/dir", engine: "fanotify", steps: ["renamed"], actors: [mv] } as const;
  const reported = await bench.look([moved]);
  t.is(reported.length, 3);
  for (const { actor, engine } of reported)
    t.like({ actor, engine }, { actor: mv, engine: "fanotify" });
});

test("the process that moved a directory is reported for what a scan found in it", async (t) => {
  using bench = makeBench();
  bench.write("/w/dir/file", "x");
  bench.learn();
  renameSync(bench.at("/w/dir"), bench.at("/elsewhere"));
  bench.write("/w/dir/file", "evil");
  const moved = { path: "/w/dir", engine: "fanotify", steps: ["renamed"], actors: [mv] } as const;
  const found = { path: "/w/dir/file", engine: "sweep", steps: ["changed"], lastAt: 1 } as const;
  const reported = await bench.look([{ ...moved, lastAt: 5 }, found]);
  t.deepEqual(inShort(reported), ["modified /w/dir inode", "modified /w/dir/file content,inode"]);
  for (const { actor, engine, at } of reported)
    t.like({ actor, engine, at }, { actor: mv, engine: "fanotify", at: 5 });
});

test("who wrote to a file is reported under the name that its directory was given afterwards", async (t) => {
  using bench = makeBench();
  bench.write("/w/a/sub/file", "x");
  bench.learn();
  renameSync(bench.at("/w/a"), bench.at("/w/b"));
  bench.write("/w/b/sub/file", "evil");
  renameSync(bench.at("/w/b"), bench.at("/w/c"));
  const hinted = { engine: "fanotify", actors: [mv] } as const;
  const written = { path: "/w/b/sub/file", steps: ["modified", "closed"], actors: [sh] } as const;
  const reported = await bench.look([
    { ...hinted, path: "/w/b", steps: ["renamed"], from: ["/w/a"] },
    { ...hinted, ...written },
    { ...hinted, path: "/w/c", steps: ["renamed"], from: ["/w/b"] },
    { path: "/w/c/sub/file", engine: "sweep", steps: ["changed"] },
  ]);
  t.deepEqual(
    reported.map(({ change, actor }) => [change.kind, change.path, actor]),
    [
      ["renamed", "/w/c", mv],
      ["modified", "/w/c/sub/file", sh],
    ],
  );
});

test("who made a directory is not taken for who made what was found in it", async (t) => {
  using bench = makeBench();
  bench.learn();
  bench.write("/w/dir/file", "x");
  const made = { path: "/w/dir", engine: "fanotify", steps: ["created"], actors: [mv] } as const;
  const reported = await bench.look([made]);
  t.deepEqual(
    reported.map(({ change, actor }) => [change.path, actor?.pid]),
    [
      ["/w/dir", 9],
      ["/w/dir/file", undefined],
    ],
  );
});

for (const dir of ["/w/dir", "/later/deep"])
  test(`what was done in ${dir} while it had another name is seen when it has its own again`, async (t) => {
    using bench = makeBench();
    const names = dir === "/w/dir" ? ["/written", "/removed", "/put-back"] : ["/file"];
    for (const name of names) bench.write(`${dir}${name}`, "old");
    bench.learn();
    const away = `${dir}-away`;
    renameSync(bench.at(dir), bench.at(away));
    bench.write(`${away}${names[0]}`, "evil");
    if (names[1]) rmSync(bench.at(`${away}${names[1]}`));
    if (names[2]) chmodSync(bench.at(`${away}${names[2]}`), 0o600);
    if (names[2]) chmodSync(bench.at(`${away}${names[2]}`), 0o644);
    renameSync(bench.at(away), bench.at(dir));
    const reported = await bench.look([
      { ...by(sh), path: `${away}${names[0]}`, steps: ["modified", "closed"] },
      { ...by(sh), path: `${away}/removed`, steps: ["deleted"] },
      { ...by(sh), path: `${away}/put-back`, steps: ["attributes"] },
      { ...by(mv), path: away, steps: ["renamed"], from: [dir] },
      { ...by(mv), path: dir, steps: ["renamed"], from: [away] },
    ]);
    const inDir = reported.filter(({ change }) => change.path !== dir);
    const wanted =
      dir === "/w/dir"
        ? [
            `deleted ${dir}/removed`,
            `modified ${dir}/written content`,
            `transient ${dir}/put-back attributes`,
          ]
        : [`modified ${dir}/file content`];
    t.deepEqual(inShort(inDir).toSorted(), wanted);
    for (const { actor } of inDir) t.is(actor, sh);
  });

test("what was made in a directory before that got its name is reported once", async (t) => {
  using bench = makeBench();
  bench.write("/w/a/known", "x");
  bench.learn();
  renameSync(bench.at("/w/a"), bench.at("/w/c"));
  bench.write("/w/c/new", "y");
  const hinted = { engine: "fanotify", actors: [mv] } as const;
  const reported = await bench.look([
    { ...hinted, path: "/w/b", steps: ["renamed"], from: ["/w/a"] },
    { ...hinted, path: "/w/b/new", steps: ["created", "closed"] },
    { ...hinted, path: "/w/c", steps: ["renamed"], from: ["/w/b"] },
  ]);
  t.deepEqual(inShort(reported), ["created /w/c/new", "renamed /w/c <- /w/a"]);
});

test("who moved a directory away is not taken for who made what is in the one that took its place", async (t) => {
  using bench = makeBench();
  bench.write("/w/dir/old", "x");
  bench.learn();
  renameSync(bench.at("/w/dir"), bench.at("/elsewhere"));
  bench.write("/w/dir/new", "y");
  const steps = ["renamed", "created"] as const;
  const reported = await bench.look([{ path: "/w/dir", engine: "fanotify", steps, actors: [mv] }]);
  t.deepEqual(
    reported.map(({ change, actor }) => [change.kind, change.path, actor?.pid]),
    [
      ["deleted", "/w/dir/old", 9],
      ["modified", "/w/dir", 9],
      ["created", "/w/dir/new", undefined],
    ],
  );
});

test("what a link leads to that took a directory's place is not what was in the directory", async (t) => {
  using bench = makeBench();
  bench.write("/w/d/a", "x");
  bench.learn();
  renameSync(bench.at("/w/d"), bench.at("/w/e"));
  symlinkSync("e", bench.at("/w/d"));
  const reported = await bench.look(["/w/d", "/w/e"]);
  t.deepEqual(inShort(reported), ["modified /w/d type", "renamed /w/e <- /w/d"]);
  t.is(bench.current.get("/w/d/a"), undefined);
  t.truthy(bench.current.get("/w/e/a"));
  bench.write("/w/e/a", "y");
  t.deepEqual(inShort(await bench.look(["/w/d/a", "/w/e/a"])), ["modified /w/e/a content"]);
});

test("what left with a directory that became a link to it is reported as deleted", async (t) => {
  using bench = makeBench();
  bench.write("/w/d/a", "x");
  bench.learn();
  renameSync(bench.at("/w/d"), bench.at("/outside"));
  symlinkSync("../outside", bench.at("/w/d"));
  t.deepEqual(inShort(await bench.look(["/w/d"])), ["deleted /w/d/a", "modified /w/d type"]);
});

test("a digest that was remembered is not taken for one of a content that is not the same", async (t) => {
  using bench = makeBench();
  bench.write("/w/f", "four");
  bench.learn();
  const { observer } = bench.view;
  const unread = {
    ...bench.view,
    observer: {
      ...observer,
      observe: (path: string) => {
        const seen = observer.observe(path, { hash: false });
        return seen && { ...seen, unreadable: "EACCES" };
      },
    },
  };
  const known = bench.current.get("/w/f");
  const looks = new Looks(unread);
  await looks.at("/w/f");
  t.is(looks.get("/w/f")?.after?.sha256, known?.sha256);
  bench.write("/w/f", "other");
  const later = new Looks(unread);
  await later.at("/w/f");
  t.is(later.get("/w/f")?.after?.sha256, undefined);
});

test("a link that was renamed over a file is reported with the name it came by, and as another inode", async (t) => {
  using bench = makeBench();
  bench.write("/w/f", "x");
  bench.learn();
  symlinkSync("/etc/passwd", bench.at("/w/new"));
  renameSync(bench.at("/w/new"), bench.at("/w/f"));
  const renamed = { path: "/w/f", engine: "fanotify", steps: ["renamed"] } as const;
  const [reported] = await bench.look([{ ...renamed, from: ["/w/new"] }]);
  t.like(reported?.change, { kind: "modified", fields: ["type", "inode"], via: "/w/new" });
});

test("of a file that one moves away and another removes, who removed it is reported, and no stranger's removal is approved with the move", async (t) => {
  const kubeadm: Actor = { pid: 5, exe: "/usr/bin/kubeadm", isProven: true };
  for (const [mover, remover] of [
    [mv, sh],
    [kubeadm, sh],
    [sh, kubeadm],
  ] as const) {
    using bench = makeBench();
    bench.write("/w/written", "x");
    bench.learn();
    rmSync(bench.at("/w/written"));
    const reported = await bench.look([
      { ...by(mover), path: "/w/written", steps: ["renamed"] },
      { ...by(mover), path: "/w/b", from: ["/w/written"], steps: ["renamed"] },
      { path: "/w/c", from: ["/w/b"], steps: ["renamed", "deleted"], ...by(remover) },
    ]);
    t.deepEqual(inShort(reported), ["deleted /w/written"]);
    t.deepEqual(reported[0]?.actor, sh);
  }
});

test("who made another file at the name to which one was moved has not removed that", async (t) => {
  using bench = makeBench();
  bench.write("/w/a", "x");
  bench.learn();
  rmSync(bench.at("/w/a"));
  bench.write("/w/b", "another");
  const reported = await bench.look([
    { ...by(mv), path: "/w/a", steps: ["renamed"] },
    { path: "/w/b", from: ["/w/a"], steps: ["renamed", "deleted", "created"], ...by(sh) },
  ]);
  t.deepEqual(inShort(reported), ["created /w/b", "deleted /w/a"]);
  t.deepEqual(reported.find(({ change }) => change.path === "/w/a")?.actor, mv);
});

test("who made or wrote a file is reported, not who changed its mode then; of its mode alone, who changed that", async (t) => {
  const chmod: Actor = { pid: 4, exe: "/usr/bin/chmod", only: "attributes" };
  using bench = makeBench();
  bench.write("/w/written", "as it was");
  bench.write("/w/changed", "as it was");
  bench.learn();
  bench.write("/w/made", "x");
  bench.write("/w/written", "otherwise");
  chmodSync(bench.at("/w/changed"), 0o777);
  const reported = await bench.look(
    ["/w/made", "/w/written", "/w/changed"].map((path) => ({
      ...by(sh),
      path,
      steps: ["modified", "attributes"],
      actors: path === "/w/changed" ? [chmod, sh] : [sh, chmod],
    })),
  );
  t.deepEqual(inShort(reported), [
    "created /w/made",
    "modified /w/changed mode",
    "modified /w/written content",
  ]);
  const exes = new Map(reported.map(({ change, actor }) => [change.path, actor?.exe]));
  t.is(exes.get("/w/made"), sh.exe);
  t.is(exes.get("/w/written"), sh.exe);
  t.is(exes.get("/w/changed"), chmod.exe);
});
