import test from "ava";
import { Folds } from "../../src/outbox/folds.ts";
import type { Fold } from "../../src/outbox/folds.ts";
import { State } from "../helpers/state.ts";

const fold: Fold = {
  rule: "etcd/data",
  change: "modified",
  severity: "low",
  count: 300,
  since: 1000.25,
  at: 2000.5,
  examples: ["/a", "/b"],
  sample: { change: { kind: "modified" } },
};

test("a fold comes back as it was put, through a restart, until it is deleted", (t) => {
  using state = new State();
  new Folds(state.db).put(fold);
  const folds = new Folds(state.db);
  t.deepEqual(folds.get(fold), fold);
  folds.put({ ...fold, count: 301 });
  folds.put({ ...fold, severity: "medium", since: 1 });
  t.deepEqual(
    folds.all().map(({ count }) => count),
    [300, 301],
  );
  folds.delete(fold);
  t.is(folds.get(fold), undefined);
  t.is(folds.all().length, 1);
});

test("a fold that was altered is refused as such", (t) => {
  using state = new State();
  const folds = new Folds(state.db);
  const alterations = ["examples = 'x'", "examples = '[1]'", "sample = 'y'", "sample = '{}'"];
  for (const alteration of alterations) {
    folds.put(fold);
    state.db.exec(`UPDATE fold SET ${alteration}`);
    const error = t.throws(() => folds.all(), { code: "STATE_UNUSABLE" }, alteration);
    t.regex(error?.message ?? "", /fold of modified changes .*altered or damaged/);
  }
});
