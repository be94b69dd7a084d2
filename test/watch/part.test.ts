import test from "ava";
import { compileRules } from "../../src/core/policy/rules.ts";
import { partOf } from "../../src/watch/part.ts";
import { ruleWith } from "../helpers/rule.ts";

const index = compileRules([ruleWith({ paths: ["/etc/app/**", "/srv/data/file", "/usr/bin/**"] })]);
const found = (part: ReturnType<typeof partOf>, paths: readonly string[]): readonly string[] =>
  paths.filter((path) => part.find(path) !== undefined);

test("a part holds its directories with everything below them, and the way there", (t) => {
  const part = partOf(index, ["/etc/app/deep"]);
  t.deepEqual(found(part, ["/etc/app", "/etc/app/deep", "/etc/app/deep/er", "/usr/bin/sh"]), [
    "/etc/app/deep",
    "/etc/app/deep/er",
  ]);
  for (const path of ["/", "/etc", "/etc/app", "/etc/app/deep/er"])
    t.true(part.mayMatchBelow(path), path);
  for (const path of ["/usr", "/usr/bin", "/srv"]) t.false(part.mayMatchBelow(path), path);
});

test("of a directory that only leads to watched paths, a part holds the entries alone", (t) => {
  const part = partOf(index, ["/srv/data"]);
  t.deepEqual(found(part, ["/srv/data/file", "/etc/app/file"]), ["/srv/data/file"]);
  const above = partOf(index, ["/"]);
  t.true(above.mayMatchBelow("/etc"));
  t.false(above.mayMatchBelow("/etc/app"));
});
