import test from "ava";
import fc from "fast-check";
import type { Look } from "../../../src/core/change/compare.ts";
import type { Step } from "../../../src/core/change/hint.ts";
import { transient } from "../../../src/core/change/transient.ts";
import { observation, seen } from "../../helpers/judged.ts";

const path = "/etc/kubernetes/manifests/x.yaml";
const before = seen();
const later = "2026-11-23T03:21:42.000000000Z";
const nothing: Look = { path };
const reverted: Look = { path, before, after: seen({ ctime: later }) };
const untouched: Look = { path, before, after: seen() };

const cases: readonly [
  title: string,
  look: Look,
  steps: readonly Step[],
  reported?: readonly Step[],
][] = [
  ["made and removed", nothing, ["created", "deleted"], ["created", "deleted"]],
  [
    "made, written and removed: closing after a write is a modification",
    nothing,
    ["created", "modified", "closed", "deleted"],
    ["created", "modified", "deleted"],
  ],
  ["removed, though no process knew it", nothing, ["deleted"]],
  ["moved there and removed", nothing, ["renamed", "deleted"], ["renamed", "deleted"]],
  ["moved there and away", nothing, ["renamed"], ["renamed"]],
  ["an engine that cannot report, and nothing is there", nothing, ["changed"]],
  ["changed and put back", reverted, ["modified", "closed"], ["modified"]],
  [
    "written through a mapping and put back, mtime too",
    reverted,
    ["closed", "attributes"],
    ["modified", "attributes"],
  ],
  ["opened for writing and closed, only its access time set (touch -a)", reverted, ["closed"]],
  ["an engine that cannot report what was done", reverted, ["changed", "changed"]],
  ["guesses among words", reverted, ["changed", "attributes", "changed"], ["attributes"]],
  ["opened for writing and closed, nothing written", untouched, ["closed"]],
  [
    "the look shows it",
    { path, before, after: seen({ mode: 0o644, ctime: later }) },
    ["attributes"],
  ],
  ["the look shows that it came", { path, after: seen() }, ["created"]],
  ["the look shows that it went", { path, before }, ["deleted"]],
];

for (const [title, look, steps, reported] of cases)
  test(`${title}: ${reported?.join(", ") ?? "nothing"}`, (t) => {
    const change = transient(look, steps);
    t.deepEqual(change?.kind === "transient" ? change.steps : undefined, reported);
    t.deepEqual(change?.kind === "transient" ? change.before : undefined, reported && look.before);
  });

test("without the kernel's word nothing is reported, whatever is seen", (t) => {
  const guesses = fc.array(fc.constant<Step>("changed"), { maxLength: 4 });
  fc.assert(
    fc.property(fc.option(observation), fc.option(observation), guesses, (was, is, steps) => {
      const look = { path, ...(was && { before: was }), ...(is && { after: is }) };
      t.is(transient(look, steps), undefined);
    }),
  );
});

test("a step is never reported twice in a row", (t) => {
  const step = fc.constantFrom<Step>("created", "deleted", "modified", "closed", "changed");
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const change = transient(nothing, ["created", ...steps]);
      if (change?.kind !== "transient") return t.fail();
      t.true(change.steps.every((one, at) => one !== change.steps[at - 1]));
      t.false(change.steps.includes("changed"));
      return t.is(change.steps[0], "created");
    }),
  );
});
