import test from "ava";
import type { Change } from "../../../src/core/change/change.ts";
import { compare } from "../../../src/core/change/compare.ts";
import type { Look } from "../../../src/core/change/compare.ts";
import { isRestored } from "../../../src/core/change/restored.ts";
import { file } from "../../helpers/disk.ts";
import { ruleWith } from "../../helpers/rule.ts";

const rule = ruleWith();

const approved = file("good", { mode: 0o600 });
const held = (path: string) => (path === "/etc/f" ? approved : undefined);
const changeOf = (look: Look): Change =>
  compare(look) ?? { kind: "deleted", path: "", before: approved };

test("a file that is again as the baseline has it is restored, whatever its times and inode", (t) => {
  const evil = { ...approved, sha256: "evil", mtime: "later" };
  const back = { ...approved, mtime: "still later", ino: "7", btime: "b7" };
  t.true(isRestored(changeOf({ path: "/etc/f", before: evil, after: back }), rule, held));
  t.true(isRestored(changeOf({ path: "/etc/f", after: back }), rule, held));
});

test("a file that differs from the baseline in content, mode or owner is not restored", (t) => {
  const evil = { ...approved, sha256: "evil", mode: 0o666, uid: 7 };
  for (const after of [
    { ...evil, sha256: approved.sha256 ?? "" },
    { ...approved, uid: 1 },
    { ...approved, sha256: "other" },
  ])
    t.false(isRestored(changeOf({ path: "/etc/f", before: evil, after }), rule, held));
});

test("a removal does not restore: the file may have been approved after the baseline", (t) => {
  t.false(isRestored(changeOf({ path: "/etc/new", before: file("new") }), rule, held));
  t.false(isRestored(changeOf({ path: "/etc/f", before: approved }), rule, held));
});

test("where a later state may have been approved, the baseline's state is an older one, and no restore", (t) => {
  const newer = { ...approved, sha256: "newer" };
  const back = changeOf({ path: "/etc/f", before: newer, after: approved });
  t.true(isRestored(back, rule, held));
  t.false(isRestored(back, ruleWith({ writers: ["/usr/bin/dpkg"] }), held));
  for (const one of ["sealed", "append-only", "rotates", "volatile"] as const)
    t.false(isRestored(back, ruleWith({ class: one }), held));
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
  t.true(isRestored(renamed("/etc/away"), rule, held));
  t.false(isRestored(renamed("/etc/f"), rule, held));
});
