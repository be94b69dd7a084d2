import test from "ava";
import fc from "fast-check";
import type { Change } from "../../../src/core/change/change.ts";
import { compare, differences } from "../../../src/core/change/compare.ts";
import type { Observation } from "../../../src/core/change/observation.ts";
import { pair } from "../../../src/core/change/pair.ts";
import { file, looksOf, op, replay, run, start } from "../../helpers/disk.ts";
import type { Op } from "../../helpers/disk.ts";

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

test("the changes, applied one by one to the tree before, give the tree after", (t) => {
  fc.assert(
    fc.property(fc.array(op, { maxLength: 4 }), fc.array(op, { maxLength: 12 }), (first, steps) => {
      const before = start();
      for (const step of first) run(before, step);
      const after = new Map(before);
      for (const step of steps) run(after, step);
      const made = replay(before, pair(looksOf(before, after)));
      const left = looksOf(made, after).filter((look) => compare(look) !== undefined);
      return left.length === 0 && made.size === after.size;
    }),
    { numRuns: 20_000 },
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
