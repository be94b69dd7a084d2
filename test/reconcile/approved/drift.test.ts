import test from "ava";
import { Current } from "../../../src/baseline/current.ts";
import { compileRules } from "../../../src/core/policy/rules.ts";
import { countDrift, Drift } from "../../../src/reconcile/approved/drift.ts";
import { Approvals } from "../../../src/outbox/approvals.ts";
import { ruleWith } from "../../helpers/rule.ts";
import { approval, rowFor, seenFile, State } from "../../helpers/state.ts";

const index = compileRules([
  ruleWith({ paths: ["/etc/**"], severity: "high" }),
  ruleWith({ id: "test/one", paths: ["/etc/file-1"], severity: "critical" }),
]);

test("a count that follows the commits is the count of the whole, also after another approval", (t) => {
  using state = new State();
  const baseline = state.captured(3);
  const current = new Current(state.db);
  current.loadFromBaseline();
  const approvals = new Approvals(state.db);
  const drift = new Drift({ db: state.db, baseline, current, approvals }, index);
  const counted = (...paths: readonly string[]) => {
    drift.learn(paths.map((path) => ({ path })));
    const found = drift.count();
    t.deepEqual(found, countDrift({ db: state.db, approvals, index }));
    return found;
  };
  t.like(counted(), { high: 0, critical: 0 });
  current.put("/etc/file-1", seenFile(1, { mode: 0o666 }));
  t.like(counted("/etc/file-1"), { high: 0, critical: 1 });
  current.put("/etc/new", seenFile(9));
  current.delete("/etc/file-0");
  t.like(counted("/etc/new", "/etc/file-0"), { high: 2, critical: 1 });
  current.put("/etc/file-1", seenFile(1));
  t.like(counted("/etc/file-1"), { high: 2, critical: 0 });
  current.put("/elsewhere", seenFile(10));
  t.like(counted("/elsewhere"), { high: 2, critical: 0 });
  const statement = baseline.accept([{ path: "/etc/new", row: rowFor(9) }], approval());
  t.is(statement.counter, 2);
  t.like(counted(), { high: 1, critical: 0 });
});
