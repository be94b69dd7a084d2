import test from "ava";
import type { ExecutionContext } from "ava";
import { isBelow } from "../../src/core/path.ts";
import { cases } from "./cases.ts";
import type { Case } from "./cases.ts";
import { makePlane, planeMissing } from "./plane.ts";
import type { Plane } from "./plane.ts";
import { contradictions, sideBySide } from "./reported.ts";
import type { Shown } from "./reported.ts";

/** One node for all the cases: they are undone, and what cannot be undone is accepted. */
const plane = planeMissing === undefined ? makePlane() : undefined;

test.before(async () => {
  if (!plane) return;
  const { code, stderr } = await plane.run("baseline");
  if (code !== 0) throw new Error(`baseline ended with ${code}: ${stderr}`);
});

test.after.always(() => plane?.[Symbol.dispose]());

/** Cases that have no path in common are found by one check. */
const mostAtOnce = 6;

for (const group of groupsOf(cases)) {
  const title = `check finds ${group.map((one) => one.title).join("; ")}`;
  if (plane) test.serial(title, async (t) => await play(t, group, plane));
  else test.skip(`${title} (${planeMissing})`, (t) => t.fail());
}

test("every case is in a group", (t) => {
  const grouped = groupsOf(cases).flat();
  t.is(grouped.length, cases.length);
  t.is(new Set(grouped.map((one) => one.title)).size, cases.length);
});

async function play(t: ExecutionContext, group: readonly Case[], now: Plane): Promise<void> {
  const before = now.facts();
  const undos = group.map((one) => one.act(now));
  const truth = { before, after: now.facts() };
  const found = await checked(now);
  for (const undo of undos.toReversed()) undo();
  const left = await checked(now);
  if (left.code !== 0) await now.run("accept", "--all", "--reason", "it cannot be undone");
  const reported = group.flatMap((one) => one.reported);
  const sides = sideBySide(found.shown, reported, false);
  t.deepEqual(sides.shown, sides.reported);
  t.deepEqual(contradictions(found.shown, truth), []);
  t.is(found.code, 1, "drift");
  const toldLeft = group.flatMap((one) => one.left ?? []);
  const sidesLeft = sideBySide(left.shown, toldLeft, false);
  t.deepEqual(sidesLeft.shown, sidesLeft.reported, "when it was undone");
  t.is(left.code, toldLeft.length > 0 ? 1 : 0, "when it was undone");
}

function groupsOf(all: readonly Case[]): readonly (readonly Case[])[] {
  const groups: Case[][] = [];
  for (const one of all) {
    const group = groups.find(
      (other) => other.length < mostAtOnce && !other.some((each) => meet(each, one)),
    );
    if (group) group.push(one);
    else groups.push([one]);
  }
  return groups;
}

function meet(a: Case, b: Case): boolean {
  const others = pathsOf(b);
  return pathsOf(a).some((path) =>
    others.some((other) => path === other || isBelow(path, other) || isBelow(other, path)),
  );
}

function pathsOf({ reported, left = [] }: Case): readonly string[] {
  return [...reported, ...left].flatMap(({ path, from }) =>
    from === undefined ? [path] : [path, from],
  );
}

interface Found {
  readonly code: number | null;
  readonly shown: readonly Shown[];
}

async function checked(now: Plane): Promise<Found> {
  const { code, stdout } = await now.run("check", "--format", "ndjson");
  const lines = stdout.split("\n").filter((line) => line !== "");
  return { code, shown: lines.map((line) => JSON.parse(line) as Shown) };
}
