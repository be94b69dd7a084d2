import test from "ava";
import fc from "fast-check";
import type { Change } from "../../../src/core/change/change.ts";
import { compare, differences } from "../../../src/core/change/compare.ts";
import type { Look } from "../../../src/core/change/compare.ts";
import type { Observation } from "../../../src/core/change/observation.ts";
import { isBelow } from "../../../src/core/path.ts";
import { pair } from "../../../src/core/change/pair.ts";

/* A small file system, so that the looks are such as a real one could give. */
type Disk = Map<string, Observation>;

let inodes = 100;
function file(content: string, over: Partial<Observation> = {}): Observation {
  inodes += 1;
  return {
    type: "file",
    mode: 0o600,
    uid: 0,
    gid: 0,
    size: content.length,
    mtime: `m${content}`,
    ctime: "c",
    btime: `b${inodes}`,
    dev: "8:1",
    ino: String(inodes),
    nlink: 1,
    sha256: content,
    ...over,
  };
}

function directory(): Observation {
  const { sha256: _, ...rest } = file("", { type: "directory", size: 0 });
  return rest;
}

function looksOf(before: Disk, after: Disk): Look[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((path) => {
    const was = before.get(path);
    const is = after.get(path);
    return [{ path, ...(was && { before: was }), ...(is && { after: is }) }];
  });
}

function move(disk: Disk, from: string, to: string): void {
  const moved = [...disk].filter(([path]) => path === from || isBelow(path, from));
  for (const [path] of disk) if (path === to || isBelow(path, to)) disk.delete(path);
  for (const [path] of moved) disk.delete(path);
  for (const [path, seen] of moved) disk.set(to + path.slice(from.length), seen);
}

/** What a reader of the changes would make of the disk before them. */
function apply(before: Disk, changes: readonly Change[], after: Disk): Disk {
  const disk = new Map(before);
  for (const change of changes) {
    if (change.kind === "deleted") disk.delete(change.path);
    if (change.kind !== "renamed") continue;
    const below =
      change.count === undefined
        ? []
        : [...before.keys()].filter((path) => isBelow(path, change.from));
    for (const path of [change.from, ...below]) disk.delete(path);
  }
  for (const change of changes) {
    if (!("after" in change) || !change.after) continue;
    disk.set(change.path, change.after);
    if (change.kind !== "renamed" || change.count === undefined) continue;
    for (const [path, seen] of after) if (isBelow(path, change.path)) disk.set(path, seen);
  }
  return disk;
}

const names = ["/w/a", "/w/b", "/w/c", "/w/d", "/w/e", "/w/d/x", "/w/d/y", "/w/e/x"];
type Op =
  | { op: "write"; path: string; content: string }
  | { op: "chmod"; path: string; mode: number }
  | { op: "remove"; path: string }
  | { op: "move"; from: string; to: string }
  | { op: "replace"; path: string; content: string };
const name = fc.constantFrom(...names);
const content = fc.constantFrom("one", "two", "three", "four");
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ op: fc.constant("write" as const), path: name, content }),
  fc.record({
    op: fc.constant("chmod" as const),
    path: name,
    mode: fc.constantFrom(0o600, 0o644, 0o755),
  }),
  fc.record({ op: fc.constant("remove" as const), path: name }),
  fc.record({ op: fc.constant("move" as const), from: name, to: name }),
  fc.record({ op: fc.constant("replace" as const), path: name, content }),
);

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

function run(disk: Disk, step: Op): void {
  const isFree = (path: string) =>
    path.split("/").length === 3 || disk.get(parent(path))?.type === "directory";
  switch (step.op) {
    case "write": {
      const known = disk.get(step.path);
      if (!isFree(step.path) || known?.type === "directory") return;
      const fresh = file(step.content);
      disk.set(
        step.path,
        known ? { ...fresh, mode: known.mode, ino: known.ino, btime: known.btime ?? "" } : fresh,
      );
      return;
    }
    case "chmod": {
      const known = disk.get(step.path);
      if (known) disk.set(step.path, { ...known, mode: step.mode });
      return;
    }
    case "remove":
      for (const path of disk.keys())
        if (path === step.path || isBelow(path, step.path)) disk.delete(path);
      return;
    case "move":
      if (
        disk.has(step.from) &&
        step.from !== step.to &&
        isFree(step.to) &&
        !isBelow(step.to, step.from)
      )
        move(disk, step.from, step.to);
      return;
    case "replace":
      if (isFree(step.path) && disk.get(step.path)?.type !== "directory")
        disk.set(step.path, file(step.content));
  }
}

function start(): Disk {
  return new Map([
    ["/w/a", file("one")],
    ["/w/b", file("two")],
    ["/w/d", directory()],
    ["/w/d/x", file("three")],
    ["/w/d/y", file("four")],
  ]);
}

test("comparing a path with itself finds nothing", (t) => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 6 }), (steps) => {
      const disk = start();
      for (const step of steps) run(disk, step);
      return [...disk].every(
        ([path, seen]) => compare({ path, before: seen, after: { ...seen } }) === undefined,
      );
    }),
  );
  t.pass();
});

test("applying the changes to what was gives what is, whatever was done", (t) => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 8 }), (steps) => {
      const before = start();
      const after = new Map(before);
      for (const step of steps) run(after, step);
      const changes = pair(looksOf(before, after));
      const made = apply(before, changes, after);
      const left = looksOf(made, after).filter((look) => compare(look) !== undefined);
      return left.length === 0 && made.size === after.size;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

test("no path is reported twice", (t) => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 8 }), (steps) => {
      const before = start();
      const after = new Map(before);
      for (const step of steps) run(after, step);
      const reported = pair(looksOf(before, after)).map((change) => change.path);
      return new Set(reported).size === reported.length;
    }),
    { numRuns: 2000 },
  );
  t.pass();
});

function changesOf(steps: readonly Op[], before = start()): readonly Change[] {
  const after = new Map(before);
  for (const step of steps) run(after, step);
  return pair(looksOf(before, after));
}

test("a file moved within the watched tree is one rename", (t) => {
  const changes = changesOf([{ op: "move", from: "/w/a", to: "/w/c" }]);
  t.like(changes, [{ kind: "renamed", path: "/w/c", from: "/w/a", fields: [] }]);
  t.is(changes.length, 1);
});

test("a known file renamed over another known one is a rename with the overwritten file as before", (t) => {
  const [change, ...rest] = changesOf([{ op: "move", from: "/w/a", to: "/w/b" }]);
  t.like(change, { kind: "renamed", path: "/w/b", from: "/w/a", fields: ["content", "inode"] });
  t.is(change?.kind === "renamed" ? change.before.sha256 : "", "two");
  t.deepEqual(rest, []);
});

test("two exchanged files are two renames", (t) => {
  const before = start();
  const after = new Map(before);
  const [a, b] = [before.get("/w/a"), before.get("/w/b")];
  if (!a || !b) return t.fail();
  after.set("/w/a", b).set("/w/b", a);
  const changes = pair(looksOf(before, after));
  t.like(changes, [
    { kind: "renamed", path: "/w/a", from: "/w/b" },
    { kind: "renamed", path: "/w/b", from: "/w/a" },
  ]);
  return t.is(changes.length, 2);
});

test("a fresh file renamed over a known one is one modified with its temporary name", (t) => {
  const before = start();
  const after = new Map(before).set("/w/a", file("new"));
  const looks = [...looksOf(before, after), { path: "/w/.a.tmp" }];
  t.like(pair(looks, [{ from: "/w/.a.tmp", to: "/w/a" }]), [
    { kind: "modified", path: "/w/a", fields: ["content", "inode"], via: "/w/.a.tmp" },
  ]);
});

test("a renamed directory is one rename that counts what moved along", (t) => {
  const changes = changesOf([{ op: "move", from: "/w/d", to: "/w/e" }]);
  t.like(changes, [{ kind: "renamed", path: "/w/e", from: "/w/d", count: 2 }]);
  t.is(changes.length, 1);
});

test("a file changed after its directory was renamed is reported beside the rename", (t) => {
  const changes = changesOf([
    { op: "move", from: "/w/d", to: "/w/e" },
    { op: "write", path: "/w/e/x", content: "one" },
  ]);
  t.is(changes.length, 2);
  t.true(
    changes.some(
      (one) => one.kind === "modified" && one.path === "/w/e/x" && one.before.sha256 === "three",
    ),
  );
});

test("a file replaced after its directory was renamed is modified under its new name, not deleted and created", (t) => {
  const before = start();
  const after = new Map(before);
  run(after, { op: "move", from: "/w/d", to: "/w/e" });
  run(after, { op: "replace", path: "/w/e/x", content: "new" });
  const looks = [...looksOf(before, after), { path: "/w/e/.x.tmp" }];
  const changes = pair(looks, [{ from: "/w/e/.x.tmp", to: "/w/e/x" }]);
  t.like(changes, [
    { kind: "renamed", path: "/w/e", from: "/w/d", count: 2 },
    { kind: "modified", path: "/w/e/x", fields: ["content", "inode"], via: "/w/e/.x.tmp" },
  ]);
  t.is(changes.length, 2);
});

test("a file copied and removed is a rename by digest when no other candidate exists", (t) => {
  const before = start();
  const after = new Map(before).set("/w/c", file("one"));
  after.delete("/w/a");
  t.like(pair(looksOf(before, after)), [{ kind: "renamed", path: "/w/c", from: "/w/a" }]);
  after.set("/w/e", file("one"));
  t.deepEqual(
    pair(looksOf(before, after))
      .map((one) => one.kind)
      .toSorted(),
    ["created", "created", "deleted"],
  );
});

test("an inode number used again is no rename", (t) => {
  const before = start();
  const a = before.get("/w/a");
  if (!a) return t.fail();
  const after = new Map(before).set("/w/c", { ...file("other"), ino: a.ino });
  after.delete("/w/a");
  return t.deepEqual(
    pair(looksOf(before, after))
      .map((one) => one.kind)
      .toSorted(),
    ["created", "deleted"],
  );
});

test("each attribute changed alone is the only field reported", (t) => {
  const seen = file("one");
  const changed: [Partial<Observation>, string][] = [
    [{ sha256: "x", mtime: "later" }, "content"],
    [{ mode: 0o4755 }, "mode"],
    [{ uid: 1 }, "owner"],
    [{ gid: 1 }, "group"],
    [{ acl: "user::rw-" }, "acl"],
    [{ capabilities: "cap_net_raw=ep" }, "capabilities"],
    [{ selinux: "etc_t" }, "selinux"],
    [{ xattrs: { "user.a": "eA==" } }, "xattr"],
    [{ flags: ["immutable"] }, "flags"],
    [{ nlink: 2 }, "links"],
    [{ ino: "7", mtime: "later" }, "inode"],
    [{ mtime: "later" }, "mtime"],
  ];
  for (const [over, field] of changed)
    t.deepEqual(differences(seen, { ...seen, ...over }), [field as never]);
  t.deepEqual(
    differences(
      { ...seen, type: "symlink", target: "/a" },
      { ...seen, type: "symlink", target: "/b" },
    ),
    ["target"],
  );
  const link = { ...seen, type: "symlink" as const, target: "/a", mode: 0o777 };
  t.deepEqual(differences(seen, link), ["type"]);
});

test("a change time alone is no change", (t) => {
  const seen = file("one");
  t.deepEqual(differences(seen, { ...seen, ctime: "later" }), []);
});
