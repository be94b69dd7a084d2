import test from "ava";
import fc from "fast-check";
import type { Step } from "../../../src/core/change/hint.ts";
import {
  appendStep,
  isBeingWritten,
  isStructural,
  longestWait,
  quietTime,
} from "../../../src/core/change/wait.ts";

const step = fc.constantFrom<Step>(
  "created",
  "deleted",
  "renamed",
  "modified",
  "closed",
  "attributes",
  "linked",
  "changed",
);
const engine = fc.constantFrom("fanotify" as const, "chokidar" as const, "sweep" as const);

test("a finished write or a chmod of a known path is looked at without waiting", (t) => {
  t.is(quietTime(["closed"], true, "fanotify"), 0);
  t.is(quietTime(["attributes"], true, "fanotify"), 0);
  t.is(quietTime(["modified", "closed"], true, "fanotify"), 0);
});

test("an unknown path waits, because it may be about to be renamed over its target", (t) => {
  t.is(quietTime(["closed"], false, "fanotify"), 30);
  t.is(quietTime(["created", "modified", "closed"], false, "fanotify"), 30);
});

test("a known name that goes waits, because an editor may be about to make it again", (t) => {
  t.is(quietTime(["deleted"], true, "fanotify"), 30);
  t.is(quietTime(["renamed", "created", "modified", "closed"], true, "fanotify"), 30);
});

test("a file that is being written waits for the close, also when its mode changes meanwhile", (t) => {
  t.is(quietTime(["modified"], true, "fanotify"), 200);
  t.is(quietTime(["modified", "attributes"], true, "fanotify"), 200);
  t.is(quietTime(["modified", "closed", "modified"], true, "fanotify"), 200);
  t.is(quietTime(["modified", "deleted"], true, "fanotify"), 30);
});

test("an engine that cannot report a close always waits", (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1 }), fc.boolean(), (steps, known) => {
      t.is(quietTime(steps, known, "chokidar"), 40);
    }),
  );
});

test("no wait is longer than the longest", (t) => {
  fc.assert(
    fc.property(fc.array(step), fc.boolean(), engine, (steps, known, name) => {
      const quiet = quietTime(steps, known, name);
      return quiet >= 0 && quiet < longestWait;
    }),
  );
  t.pass();
});

test("steps that touch no name are not structural", (t) => {
  t.false(isStructural(["modified", "closed", "attributes", "changed"]));
  t.true(isStructural(["closed", "linked"]));
  t.false(isBeingWritten(["created", "attributes"]));
});

test("however many steps come, few are kept: the first, the last, and none twice in a row", (t) => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 200 }), (all) => {
      let kept: readonly Step[] = [];
      for (const one of all) kept = appendStep(kept, one);
      t.true(kept.length <= 32);
      t.is(kept[0], all[0]);
      t.is(kept.at(-1), all.at(-1));
    }),
  );
  t.deepEqual(appendStep(appendStep(["created"], "modified"), "modified"), ["created", "modified"]);
});
