import test from "ava";
import { parse } from "yaml";
import type { Policy, Rule } from "../../src/core/policy/rule.ts";
import { compileRules } from "../../src/core/policy/rules.ts";
import {
  formatExplanation,
  formatExplanationJson,
  formatLint,
  formatPolicy,
} from "../../src/policy/format.ts";

const wide: Rule = {
  id: "p/wide",
  paths: ["/a/**"],
  exclude: ["/a/*.log"],
  class: "immutable",
  severity: "high",
  why: "It matters.",
  mode: "0600",
  owner: "root:root",
  writers: ["/usr/bin/w"],
  containerWriters: true,
  content: "secret",
  validators: [],
  cis: ["1.1.1"],
  attack: [],
};
const own: Rule = { ...wide, id: "p/own", paths: ["/a/b"], exclude: [] };
const later: Rule = { ...wide, id: "p/later", paths: ["/a/*"], exclude: ["/a/x.log"] };
const policy: Policy = { name: "p", description: "D", rules: [wide, own, later], digest: "00" };
const index = compileRules(policy.rules);

test("lint says which policy is fine and how many rules it has", (t) => {
  t.is(formatLint("p.yaml", policy), "OK: p.yaml, 3 rules");
  t.is(formatLint("a\u001bb", { ...policy, rules: [wide] }), "OK: a\\x1bb, 1 rule");
});

test("the merged policy is printed as YAML or JSON without a loss", (t) => {
  t.deepEqual(parse(formatPolicy(policy, "yaml")), { ...policy });
  t.deepEqual(JSON.parse(formatPolicy(policy, "json")), { ...policy });
});

test("an explanation names the rule, its glob and why it wins", (t) => {
  const text = formatExplanation(index.explain("/a/b"));
  t.regex(text, /^\/a\/b: p\/own$/m);
  t.regex(text, /because +it names exactly this path/);
  t.regex(text, /mode +0600 or stricter/);
  t.regex(text, /writers +\/usr\/bin\/w \(containers too\)/);
  t.regex(text, /also matching, most specific first:\n {2}p\/later .*\n {2}p\/wide/);
  const tie = formatExplanation(index.explain("/a/c"));
  t.regex(tie, /prefix \/a is as long as that of p\/wide, which comes earlier/);
});

test("an explanation says when nothing matches and when a rule excludes the path", (t) => {
  t.is(formatExplanation(index.explain("/q")), "/q: not watched, no rule matches");
  const text = formatExplanation(index.explain("/a/x.log"));
  t.regex(text, /^\/a\/x\.log: not watched, p\/later excludes \/a\/x\.log$/m);
  t.regex(text, /p\/wide \(\/a\/\*\*, excluded by \/a\/\*\.log\)/);
});

test("a path with control characters or bad bytes stays on one line", (t) => {
  t.regex(formatExplanation(index.explain("/a/\n\udcff")), /^\/a\/\\n\\xff: p\/later$/m);
  const json = JSON.parse(formatExplanationJson(index.explain("/a/\udcff"))) as object;
  t.like(json, { path: "/a/\ufffd", pathBase64: "L2Ev/w==", watched: true, glob: "/a/*" });
  const silent = JSON.parse(formatExplanationJson(index.explain("/q"))) as object;
  t.deepEqual(silent, { path: "/q", watched: false, candidates: [] });
});
