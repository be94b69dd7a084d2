import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import test from "ava";
import { isBelow } from "../../src/core/path.ts";
import type { Rule, RuleIndex } from "../../src/core/policy/rule.ts";
import { Observer } from "../../src/observe/observer.ts";
import { walk } from "../../src/observe/walk.ts";
import type { Where } from "../../src/observe/walk.ts";
import { Scratch } from "./scratch.ts";

const rule = { id: "test/all" } as Rule;

function isIn(path: string, dirs: readonly string[]): boolean {
  return dirs.some((dir) => path === dir || isBelow(path, dir));
}

/** Everything at and below these paths, but for what is named here. */
function indexOf(roots: readonly string[], ...excluded: readonly string[]): RuleIndex {
  return {
    roots,
    find: (path) => (isIn(path, roots) && !isIn(path, excluded) ? { rule, glob: "**" } : undefined),
    mayMatchBelow: (dir) => !isIn(dir, excluded),
  };
}

function found(root: string, index: RuleIndex, where: Where = {}): string[] {
  using observer = new Observer(root);
  return [...walk(observer, index, where)].map((one) => `${one.kind} ${one.path}`).toSorted();
}

function make(scratch: Scratch): void {
  mkdirSync(scratch.at("etc/dir/deep"), { recursive: true });
  writeFileSync(scratch.at("etc/dir/deep/file"), "");
  writeFileSync(scratch.at("etc/dir/.hidden"), "");
  writeFileSync(scratch.at("etc/file"), "");
  symlinkSync("dir", scratch.at("etc/link"));
  writeFileSync(scratch.at("outside"), "");
}

test("a walk finds every watched path below the roots, and follows no link", (t) => {
  using scratch = new Scratch();
  make(scratch);
  t.deepEqual(found(scratch.path, indexOf(["/etc", "/none"])), [
    "path /etc",
    "path /etc/dir",
    "path /etc/dir/.hidden",
    "path /etc/dir/deep",
    "path /etc/dir/deep/file",
    "path /etc/file",
    "path /etc/link",
  ]);
});

test("a root may be a file, a link, or nothing", (t) => {
  using scratch = new Scratch();
  make(scratch);
  const index = indexOf(["/etc/file", "/etc/link", "/etc/gone"]);
  t.deepEqual(found(scratch.path, index), ["path /etc/file", "path /etc/link"]);
});

test("a walk from a directory finds that and what is below it", (t) => {
  using scratch = new Scratch();
  make(scratch);
  const paths = found(scratch.path, indexOf(["/etc"]), { from: "/etc/dir/deep" });
  t.deepEqual(paths, ["path /etc/dir/deep", "path /etc/dir/deep/file"]);
  t.deepEqual(found(scratch.path, indexOf(["/etc"]), { from: "/etc/file" }), ["path /etc/file"]);
  t.deepEqual(found(scratch.path, indexOf(["/etc"]), { from: "/etc/gone" }), []);
});

test("a path without a rule is left out, a directory without any is not entered", (t) => {
  using scratch = new Scratch();
  make(scratch);
  const paths = found(scratch.path, indexOf(["/etc"], "/etc/dir"));
  t.deepEqual(paths, ["path /etc", "path /etc/file", "path /etc/link"]);
});

test("a directory to be skipped is left out with all below it", (t) => {
  using scratch = new Scratch();
  make(scratch);
  const paths = found(scratch.path, indexOf(["/"]), { skip: ["/etc"] });
  t.deepEqual(paths, ["path /", "path /outside"]);
});

test("a directory that vanishes on the way is no fault", (t) => {
  using scratch = new Scratch();
  make(scratch);
  using observer = new Observer(scratch.path);
  const paths: string[] = [];
  for (const one of walk(observer, indexOf(["/etc"]))) {
    paths.push(`${one.kind} ${one.path}`);
    if (one.path === "/etc/dir") rmSync(scratch.at("etc/dir"), { recursive: true });
  }
  t.false(paths.includes("path /etc/dir/.hidden"));
  t.true(paths.includes("path /etc/file"));
  t.true(paths.every((path) => path.startsWith("path ")));
});

test("a directory that cannot be listed is reported", (t) => {
  using scratch = new Scratch();
  make(scratch);
  using observer = new Observer(scratch.path);
  const list = observer.list.bind(observer);
  observer.list = (dir) => (dir === "/etc/dir" ? { entries: [], unreadable: "EIO" } : list(dir));
  const reported = [...walk(observer, indexOf(["/etc"]))].filter((one) => one.kind === "unlisted");
  t.deepEqual(reported, [{ kind: "unlisted", path: "/etc/dir", errno: "EIO" }]);
});

test("a name is asked for its type where the filesystem does not report", (t) => {
  using scratch = new Scratch();
  make(scratch);
  using observer = new Observer(scratch.path);
  const known = [...walk(observer, indexOf(["/etc"]))];
  const list = observer.list.bind(observer);
  observer.list = (dir) => {
    const listing = list(dir);
    const entries = (listing?.entries ?? []).map(
      ({ name }) => ({ name, kind: "unknown" }) as const,
    );
    return listing && { entries };
  };
  t.deepEqual([...walk(observer, indexOf(["/etc"]))], known);
});
