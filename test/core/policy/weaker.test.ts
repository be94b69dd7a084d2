import test from "ava";
import { compileRules } from "../../../src/core/policy/rules.ts";
import type { Rule } from "../../../src/core/policy/rule.ts";
import { weakerIn, weakenings } from "../../../src/core/policy/weaker.ts";
import { ruleWith } from "../../helpers/rule.ts";

const before = ruleWith({
  severity: "critical",
  writers: ["/a"],
  mode: "0600",
  owner: "root:root",
});

test("the same rule, and a stricter one, is not weaker", (t) => {
  t.deepEqual(weakerIn(before, before), []);
  t.deepEqual(weakerIn(ruleWith({ class: "volatile", severity: "low" }), before), [
    "further writers /a",
  ]);
});

const cases: readonly (readonly [changes: Partial<Rule>, what: string])[] = [
  [{ class: "volatile" }, "class immutable -> volatile"],
  [{ severity: "info" }, "severity critical -> info"],
  [{ writers: ["/a", "/b"] }, "further writers /b"],
  [{ containerWriters: true }, "writers inside containers"],
];

for (const [changes, what] of cases)
  test(`weaker: ${what}`, (t) => {
    t.deepEqual(weakerIn(before, { ...before, ...changes }), [what]);
  });

test("a rule without its mode, owner or validators is weaker, and so is no rule", (t) => {
  const { mode: _mode, owner: _owner, ...rest } = before;
  t.deepEqual(weakerIn(before, rest), ["without a mode", "without an owner"]);
  t.deepEqual(weakerIn({ ...before, validators: ["x"] }, before), ["without validators x"]);
  t.deepEqual(weakerIn(before, undefined), ["no longer watched"]);
});

test("paths are counted for each rule and way, with an example", (t) => {
  const signed = compileRules([ruleWith({ id: "p/all", paths: ["/etc/**"] })]);
  const narrowed = compileRules([ruleWith({ id: "p/all", paths: ["/etc/sub/**"] })]);
  t.deepEqual(weakenings(["/etc/a", "/etc/b", "/etc/sub/c"], signed, narrowed), [
    { rule: "p/all", what: "no longer watched", paths: 2, example: "/etc/a" },
  ]);
  t.deepEqual(weakenings(["/etc/a"], signed, signed), []);
});
