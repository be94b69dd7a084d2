import test from "ava";
import { Incidents } from "../../src/reconcile/incidents.ts";

const counting = () => {
  let last = 0;
  return new Incidents(() => `i${(last += 1)}`);
};
const cp = { pid: 7, comm: "cp", lineage: [{ pid: 7, comm: "cp" }] };
const dpkg = {
  pid: 8,
  comm: "dpkg",
  lineage: [
    { pid: 8, comm: "dpkg" },
    { pid: 6, comm: "apt-get" },
  ],
};

test("the changes of one process are one incident, until it was quiet for long", (t) => {
  const incidents = counting();
  const ids = [0, 5000, 14_000, 24_001].map((at) => incidents.idOf(cp, at));
  t.deepEqual(ids, ["i1", "i1", "i1", "i2"]);
});

test("a package manager may pause for minutes", (t) => {
  const incidents = counting();
  const ids = [0, 200_000, 400_000].map((at) => incidents.idOf(dpkg, at));
  t.deepEqual(ids, ["i1", "i1", "i1"]);
});

test("another program under the same pid is another incident", (t) => {
  const incidents = counting();
  t.is(incidents.idOf(cp, 0), "i1");
  t.is(incidents.idOf({ ...cp, lineage: [{ pid: 7, comm: "mv" }] }, 1), "i2");
});

test("memory is bounded: of a thousand incidents and more the oldest are forgotten", (t) => {
  const incidents = counting();
  for (let pid = 1; pid <= 1001; pid += 1) incidents.idOf({ pid, comm: "cp" }, 0);
  t.is(incidents.idOf({ pid: 2, comm: "cp" }, 1), "i2");
  t.is(incidents.idOf({ pid: 1, comm: "cp" }, 1), "i1002");
});
