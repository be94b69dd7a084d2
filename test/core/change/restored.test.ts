import test from "ava";
import type { Change } from "../../../src/core/change/change.ts";
import { compare } from "../../../src/core/change/compare.ts";
import type { Look } from "../../../src/core/change/compare.ts";
import { isRestored } from "../../../src/core/change/restored.ts";
import { file } from "../../helpers/disk.ts";

const approved = file("good", { mode: 0o600 });
const held = (path: string) => (path === "/etc/f" ? approved : undefined);
const changeOf = (look: Look): Change =>
  compare(look) ?? { kind: "deleted", path: "", before: approved };

test("a file that is again as the baseline has it is restored, whatever its times and inode", (t) => {
  const evil = { ...approved, sha256: "evil", mtime: "later" };
  const back = { ...approved, mtime: "still later", ino: "7", btime: "b7" };
  t.true(isRestored(changeOf({ path: "/etc/f", before: evil, after: back }), "immutable", held));
  t.true(isRestored(changeOf({ path: "/etc/f", after: back }), "immutable", held));
});

test("a file that differs from the baseline in content, mode or owner is not restored", (t) => {
  const evil = { ...approved, sha256: "evil", mode: 0o666, uid: 7 };
  for (const after of [
    { ...evil, sha256: approved.sha256 ?? "" },
    { ...approved, uid: 1 },
    { ...approved, sha256: "other" },
  ])
    t.false(isRestored(changeOf({ path: "/etc/f", before: evil, after }), "immutable", held));
});

test("a change of time, inode or links alone is restored only where nothing differs any more", (t) => {
  const touched = { ...approved, mtime: "later" };
  t.false(
    isRestored(changeOf({ path: "/etc/f", before: approved, after: touched }), "immutable", held),
  );
  t.true(
    isRestored(changeOf({ path: "/etc/f", before: touched, after: approved }), "immutable", held),
  );
});

test("a removal is never a restore: it may hide what was there", (t) => {
  t.false(isRestored(changeOf({ path: "/etc/new", before: file("new") }), "immutable", held));
  t.false(isRestored(changeOf({ path: "/etc/f", before: approved }), "immutable", held));
});

test("a class that lets files grow knows no restore: its last known state is an older one", (t) => {
  const evil = { ...approved, sha256: "evil" };
  const change = changeOf({ path: "/etc/f", before: evil, after: approved });
  t.true(isRestored(change, "rotates", held));
  t.false(isRestored(change, "sealed", held));
  t.false(isRestored(change, "append-only", held));
});

const renamed = (from: string): Change => ({
  kind: "renamed",
  path: "/etc/f",
  from,
  fields: [],
  before: approved,
  after: approved,
});

test("a rename restores only where its old name is free in the baseline too", (t) => {
  t.true(isRestored(renamed("/etc/away"), "immutable", held));
  t.false(isRestored(renamed("/etc/f"), "immutable", held));
});
