import test from "ava";
import fc from "fast-check";
import type { Change, Field } from "../../../src/core/change/change.ts";
import { fields } from "../../../src/core/change/change.ts";
import type { Actor } from "../../../src/core/change/hint.ts";
import { isFreeStep, judge } from "../../../src/core/change/judge.ts";
import type { Circumstances } from "../../../src/core/change/judge.ts";
import type { Observation } from "../../../src/core/change/observation.ts";
import { isAtLeast } from "../../../src/core/policy/rule.ts";
import type { FileClass, Rule, Severity } from "../../../src/core/policy/rule.ts";
import { judged as anyJudged, seen } from "../../helpers/judged.ts";
import { ruleWith } from "../../helpers/rule.ts";

const classes: readonly FileClass[] = ["immutable", "rotates", "append-only", "sealed", "volatile"];
const path = "/d/2.wal";
const etcd: Actor = { pid: 7, exe: "/usr/bin/etcd", isProven: true };
const cp: Actor = { pid: 8, exe: "/usr/bin/cp" };
const inPod: Actor = { ...etcd, container: { id: "ab".repeat(32) } };

function ruleOf(more: Partial<Rule> = {}): Rule {
  return ruleWith({
    id: "kubeadm/it",
    paths: ["/d/**"],
    severity: "critical",
    content: "secret",
    ...more,
  });
}

/** A file that was not hashed. */
function unread(more: Partial<Observation> = {}): Observation {
  const { sha256: _, ...rest } = seen(more);
  return rest;
}

type Modified = Change & { kind: "modified" };

function modified(changed: readonly Field[], more: Partial<Modified> = {}): Modified {
  return { kind: "modified", path, fields: changed, before: seen(), after: seen(), ...more };
}

function renamedOver(changed: readonly Field[], from = "/d/tmp"): Change {
  return { kind: "renamed", path, from, fields: changed, before: seen(), after: seen() };
}

const created: Change = { kind: "created", path, after: seen() };
const deleted: Change = { kind: "deleted", path, before: seen() };
const directory = seen({ type: "directory", size: 0 });

/** "critical content,inode", "approved", or "nothing". */
function verdictOn(change: Change, rule: Rule, facts: Partial<Circumstances> = {}): string {
  const judgement = judge(change, rule, { siblings: [], ...facts });
  if (!judgement) return "nothing";
  if (judgement.verdict === "approved") return "approved";
  const reported = "fields" in judgement.change ? ` ${judgement.change.fields.join()}` : "";
  return judgement.severity + reported;
}

interface Case {
  readonly title: string;
  readonly change: Change;
  readonly rule: Partial<Rule>;
  readonly facts?: Partial<Circumstances>;
  readonly is: string;
}

const sealed = { class: "sealed" } as const;
const volatile = { class: "volatile" } as const;
const grown = (prefix?: Observation["prefix"]): Modified =>
  modified(["content"], {
    before: seen({ size: 10 }),
    after: seen({ size: 20, ...(prefix && { prefix }) }),
  });
const sameStart = { size: 10, sha256: seen().sha256 ?? "" };

const cases: readonly Case[] = [
  // Classes, no process known.
  { title: "immutable content", change: modified(["content"]), rule: {}, is: "critical content" },
  {
    title: "immutable created",
    change: created,
    rule: { severity: "high" },
    is: "high",
  },
  {
    title: "rotates without a validator",
    change: modified(["content"]),
    rule: { class: "rotates" },
    is: "critical content",
  },
  {
    title: "volatile content",
    change: modified(["content", "mtime", "inode"]),
    rule: volatile,
    is: "nothing",
  },
  {
    title: "volatile content and mode",
    change: modified(["content", "mode"]),
    rule: volatile,
    is: "critical mode",
  },
  { title: "volatile type", change: modified(["type"]), rule: volatile, is: "critical type" },
  {
    title: "volatile owner",
    change: modified(["owner", "group"]),
    rule: volatile,
    is: "critical owner,group",
  },
  { title: "volatile hard link", change: modified(["links"]), rule: volatile, is: "low links" },
  { title: "volatile created", change: created, rule: volatile, is: "critical" },
  { title: "volatile deleted", change: deleted, rule: volatile, is: "critical" },
  {
    title: "a volatile directory exchanged for another",
    change: modified(["inode"], { before: directory, after: { ...directory, ino: "9" } }),
    rule: volatile,
    is: "low inode",
  },
  {
    title: "a volatile file replaced by a temporary one",
    change: renamedOver(["content", "inode"]),
    rule: volatile,
    facts: { fromClass: "volatile" },
    is: "nothing",
  },
  {
    title: "a volatile file replaced by a temporary one of another mode",
    change: renamedOver(["content", "mode", "inode"]),
    rule: volatile,
    facts: { fromClass: "volatile" },
    is: "critical mode",
  },
  {
    title: "a volatile file replaced by one that is not temporary",
    change: renamedOver(["content", "inode"]),
    rule: volatile,
    facts: { fromClass: "immutable" },
    is: "critical content,inode",
  },
  {
    title: "a volatile file under a new name",
    change: renamedOver([]),
    rule: volatile,
    facts: { fromClass: "volatile" },
    is: "critical ",
  },
  // Files that are made for moments.
  {
    title: "a temporary file made",
    change: created,
    rule: { ...volatile, severity: "info" },
    is: "approved",
  },
  {
    title: "a temporary file removed",
    change: deleted,
    rule: { ...volatile, severity: "info" },
    is: "approved",
  },
  {
    title: "an attribute set to the same value by a writer without proof",
    change: { kind: "transient", path, steps: ["attributes"], before: seen() },
    rule: { writers: ["/usr/bin/dpkg"] },
    facts: { actor: { pid: 1, exe: "/usr/bin/dpkg" } },
    is: "info",
  },
  {
    title: "an attribute set to the same value by a stranger",
    change: { kind: "transient", path, steps: ["attributes"], before: seen() },
    rule: { writers: ["/usr/bin/dpkg"] },
    facts: { actor: { pid: 1, exe: "/usr/bin/chmod" } },
    is: "low",
  },
  {
    title: "content written and set back by a writer without proof",
    change: { kind: "transient", path, steps: ["modified", "attributes"], before: seen() },
    rule: { writers: ["/usr/bin/dpkg"] },
    facts: { actor: { pid: 1, exe: "/usr/bin/dpkg" } },
    is: "critical",
  },
  {
    title: "a temporary file come and gone",
    change: { kind: "transient", path, steps: ["created", "deleted"] },
    rule: { ...volatile, severity: "info" },
    is: "approved",
  },
  {
    title: "a link in the place of a temporary file",
    change: { kind: "created", path, after: seen({ type: "symlink", target: "/x" }) },
    rule: { ...volatile, severity: "info" },
    is: "info",
  },
  {
    title: "a temporary file by a stranger",
    change: created,
    rule: { ...volatile, severity: "info", writers: ["/usr/bin/etcd"] },
    facts: { actor: cp },
    is: "info",
  },
  {
    title: "low is no leave to come and go",
    change: created,
    rule: { ...volatile, severity: "low" },
    is: "low",
  },
  // Append-only.
  {
    title: "grown by what was there",
    change: grown(sameStart),
    rule: { class: "append-only" },
    is: "nothing",
  },
  {
    title: "grown with another beginning",
    change: grown({ size: 10, sha256: "f".repeat(64) }),
    rule: { class: "append-only" },
    is: "critical content",
  },
  {
    title: "grown, the beginning not read",
    change: grown(),
    rule: { class: "append-only" },
    is: "critical content",
  },
  {
    title: "a log shortened",
    change: modified(["content"], { after: seen({ size: 1, prefix: { size: 1, sha256: "a" } }) }),
    rule: { class: "append-only" },
    is: "critical content",
  },
  {
    title: "a log replaced by a longer one",
    change: { ...grown(sameStart), fields: ["content", "inode"] },
    rule: { class: "append-only" },
    is: "critical content,inode",
  },
  // Sealed.
  {
    title: "the newest is written",
    change: modified(["content"]),
    rule: sealed,
    facts: { siblings: ["1.wal"] },
    is: "nothing",
  },
  {
    title: "the newest gets another mode",
    change: modified(["content", "mode"]),
    rule: sealed,
    facts: { siblings: ["1.wal"] },
    is: "critical mode",
  },
  {
    title: "the newest is replaced",
    change: modified(["content", "inode"]),
    rule: sealed,
    facts: { siblings: ["1.wal"] },
    is: "critical content,inode",
  },
  {
    title: "a sealed one is written",
    change: modified(["content"]),
    rule: sealed,
    facts: { siblings: ["3.wal"] },
    is: "critical content",
  },
  {
    title: "a sealed one is touched",
    change: modified(["mtime"]),
    rule: sealed,
    facts: { siblings: ["3.wal"] },
    is: "low mtime",
  },
  {
    title: "the last words of one that has just been sealed",
    change: modified(["content"], { before: unread({ size: 64 }) }),
    rule: sealed,
    facts: { siblings: ["3.wal"] },
    is: "nothing",
  },
  {
    title: "the next appears",
    change: created,
    rule: sealed,
    facts: { siblings: ["1.wal"] },
    is: "approved",
  },
  {
    title: "two appear at once, this is the first of them",
    change: created,
    rule: sealed,
    facts: { siblings: ["1.wal", "3.wal"], formerSiblings: ["1.wal"] },
    is: "approved",
  },
  {
    title: "one is put among those that are there",
    change: created,
    rule: sealed,
    facts: { siblings: ["1.wal", "3.wal"], formerSiblings: ["1.wal", "3.wal"] },
    is: "critical",
  },
  {
    title: "a directory as the next",
    change: { kind: "created", path, after: directory },
    rule: sealed,
    is: "critical",
  },
  {
    title: "a prepared file becomes the next",
    change: renamedOver([]),
    rule: sealed,
    facts: { siblings: ["1.wal"], fromClass: "volatile" },
    is: "approved",
  },
  {
    title: "a sealed one becomes the next",
    change: renamedOver([], "/d/1.wal"),
    rule: sealed,
    facts: { siblings: ["0.wal"], fromClass: "sealed" },
    is: "critical ",
  },
  {
    title: "a prepared file takes the place of the newest",
    change: renamedOver(["content", "inode"]),
    rule: sealed,
    facts: { siblings: ["1.wal"], fromClass: "volatile" },
    is: "critical content,inode",
  },
  {
    title: "the oldest is removed",
    change: deleted,
    rule: sealed,
    facts: { siblings: ["3.wal", "4.wal"] },
    is: "approved",
  },
  {
    title: "one in the middle is removed",
    change: deleted,
    rule: sealed,
    facts: { siblings: ["1.wal", "3.wal"] },
    is: "critical",
  },
  {
    title: "the newest is removed",
    change: deleted,
    rule: sealed,
    facts: { siblings: ["1.wal"] },
    is: "critical",
  },
  { title: "the last one is removed", change: deleted, rule: sealed, is: "critical" },
  // Writers.
  {
    title: "an allowed writer",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"] },
    facts: { actor: etcd, isApprovedExecutable: true },
    is: "approved",
  },
  {
    title: "an allowed writer under another of its names",
    change: modified(["content"]),
    rule: { writers: ["/bin/etcd"] },
    facts: { actor: etcd, isApprovedExecutable: true, isAllowedWriter: true },
    is: "approved",
  },
  {
    title: "a program of another name that is not one of the writer's",
    change: modified(["content"]),
    rule: { writers: ["/bin/etcd"] },
    facts: { actor: etcd, isApprovedExecutable: true, isAllowedWriter: false },
    is: "critical content",
  },
  {
    title: "a program of the writer's name that is another file",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"] },
    facts: { actor: etcd, isApprovedExecutable: false },
    is: "critical content",
  },
  {
    title: "a stranger, where the class would let it pass",
    change: modified(["content"]),
    rule: { ...volatile, writers: ["/usr/bin/etcd"] },
    facts: { actor: cp },
    is: "critical content",
  },
  {
    title: "the writer's path inside a container, which the rule does not allow",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"] },
    facts: { actor: inPod, isApprovedExecutable: true },
    is: "critical content",
  },
  {
    title: "the writer inside a container, which the rule allows",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"], containerWriters: true },
    facts: { actor: inPod, isApprovedExecutable: true },
    is: "approved",
  },
  {
    title: "the writer in a static pod, where the rule allows only those",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"], containerWriters: "static" },
    facts: { actor: inPod, isApprovedExecutable: true, isInStaticPod: true },
    is: "approved",
  },
  {
    title: "the writer's path in a pod of the API server, where the rule allows static pods",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"], containerWriters: "static" },
    facts: { actor: inPod, isApprovedExecutable: true, isInStaticPod: false },
    is: "critical content",
  },
  {
    title: "an allowed writer without proof that it made the change",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"] },
    facts: { actor: { pid: 7, exe: "/usr/bin/etcd" }, isApprovedExecutable: true },
    is: "critical content",
  },
  {
    title: "an allowed writer that only closed the file",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"] },
    facts: { actor: { ...etcd, only: "closed" }, isApprovedExecutable: true },
    is: "critical content",
  },
  {
    title: "two candidates, where the class would let it pass",
    change: modified(["content"]),
    rule: { ...volatile, writers: ["/usr/bin/etcd"] },
    facts: { actor: { pid: 7, candidates: ["/usr/bin/etcd", "/usr/bin/cp"] } },
    is: "critical content",
  },
  {
    title: "a writer with a pid only",
    change: modified(["content"]),
    rule: { writers: ["/usr/bin/etcd"] },
    facts: { actor: { pid: 7 } },
    is: "critical content",
  },
  // Validators.
  {
    title: "a renewal that is valid",
    change: modified(["content"]),
    rule: { class: "rotates", validators: ["certificate-renewal"] },
    facts: { valid: true },
    is: "approved",
  },
  {
    title: "a renewal that is not valid, by an allowed writer",
    change: modified(["content"]),
    rule: { class: "rotates", validators: ["certificate-renewal"], writers: ["/usr/bin/etcd"] },
    facts: { valid: false, actor: etcd, isApprovedExecutable: true },
    is: "critical content",
  },
  {
    title: "a valid renewal by a stranger",
    change: modified(["content"]),
    rule: { class: "rotates", validators: ["certificate-renewal"], writers: ["/usr/bin/etcd"] },
    facts: { valid: true, actor: cp },
    is: "critical content",
  },
  // Never approved.
  {
    title: "unreadable by an allowed writer",
    change: { kind: "unreadable", path, errno: "EACCES", before: seen() },
    rule: { writers: ["/usr/bin/etcd"] },
    facts: { actor: etcd, isApprovedExecutable: true },
    is: "critical",
  },
];

for (const { title, change, rule, facts, is } of cases)
  test(`${title}: ${is.trim()}`, (t) => {
    t.is(verdictOn(change, ruleOf(rule), facts), is);
  });

const field = fc.subarray([...fields], { minLength: 1 });
const slight: readonly Field[] = ["mtime", "inode", "links"];

test("only the time, the inode or the link count is at most low, anything more is the rule's severity", (t) => {
  const severity = fc.constantFrom<Severity>("info", "low", "medium", "high", "critical");
  fc.assert(
    fc.property(field, severity, (changed, grave) => {
      const judgement = judge(modified(changed), ruleOf({ severity: grave }), { siblings: [] });
      const isSlight = changed.every((one) => slight.includes(one));
      const expected = isSlight && isAtLeast(grave, "low") ? "low" : grave;
      t.is(judgement?.severity, expected);
    }),
  );
});

test("who is known and not listed is never approved, whatever the change and the class", (t) => {
  fc.assert(
    fc.property(anyJudged, fc.constantFrom(...classes), fc.boolean(), ({ change }, kind, valid) => {
      const rule = ruleOf({ class: kind, writers: ["/usr/bin/etcd"] });
      const judgement = judge(change, rule, { siblings: [], actor: cp, valid });
      t.is(judgement?.verdict, "unexpected");
      t.deepEqual(judgement?.change, change);
    }),
  );
});

test("a judgement says no more than the change did", (t) => {
  fc.assert(
    fc.property(anyJudged, fc.constantFrom(...classes), ({ change }, kind) => {
      const judgement = judge(change, ruleOf({ class: kind }), { siblings: [] });
      const reported = judgement?.change;
      t.true(reported === undefined || reported.path === change.path);
      if (reported && "fields" in reported && "fields" in change)
        t.true(reported.fields.every((one) => change.fields.includes(one)));
    }),
  );
});

test("after a free step nothing is reported of the content, the process that took it, and of nothing else are steps free", (t) => {
  const writers = fc.constantFrom<readonly string[]>([], ["/usr/bin/etcd"]);
  const actor = fc.constantFrom(undefined, etcd, cp, inPod);
  const content = fc.subarray<Field>(["content", "mtime"], { minLength: 1 });
  fc.assert(
    fc.property(
      fc.constantFrom(...classes),
      writers,
      actor,
      content,
      (kind, listed, who, changed) => {
        const rule = ruleOf({ class: kind, writers: listed });
        const facts = { siblings: [], ...(who && { actor: who }) };
        for (const step of ["modified", "closed"] as const)
          t.true(!isFreeStep(step, rule) || judge(modified(changed), rule, facts) === undefined);
        for (const step of [
          "created",
          "deleted",
          "renamed",
          "linked",
          "attributes",
          "changed",
        ] as const)
          t.false(isFreeStep(step, rule));
      },
    ),
  );
  t.true(isFreeStep("closed", ruleOf({ class: "volatile" })));
});
