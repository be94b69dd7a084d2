import test from "ava";
import fc from "fast-check";
import { addressOf, isSameList, placeOf, queryOf } from "../../../src/collector/web/place.js";

const here = (address: string) => placeOf(new URL(address, "http://127.0.0.1"));

test("an address shows the same place again", (t) => {
  const text = fc
    .string({ unit: "binary", minLength: 1, maxLength: 30 })
    .map((one) => one.toWellFormed());
  const filters = fc.record(
    { state: text, severity: text, node: text, path: text, pod: text, incident: text, since: text },
    { requiredKeys: [] },
  );
  const uid = fc.stringMatching(/^[\w-]{1,64}$/);
  fc.assert(
    fc.property(filters, uid, (given, id) => {
      const place = { view: "alerts", uid: id, filters: { ...given } } as const;
      t.deepEqual(here(addressOf(place)), place);
    }),
  );
});

test("views and unknown addresses", (t) => {
  t.deepEqual(here("/"), { view: "alerts", filters: {} });
  t.deepEqual(here("/nodes?node=a"), { view: "nodes", filters: { node: "a" } });
  t.deepEqual(here("/nothing/x?evil=1"), { view: "alerts", filters: {} });
  t.deepEqual(here("/alerts/a%2Fb"), { view: "alerts", filters: {} });
});

test("without filters the list holds what is open and more than information", (t) => {
  t.is(String(queryOf({})), "acknowledged=false&minSeverity=low");
  t.is(String(queryOf({ state: "all", severity: "any" })), "");
  t.is(String(queryOf({ severity: "high,critical", state: "all" })), "severity=high%2Ccritical");
  t.is(String(queryOf({ severity: "only-high", state: "all" })), "severity=high");
  t.true(isSameList({ state: "open" }, {}));
  t.false(isSameList({ node: "cp-1" }, {}));
});

const pathOf = (path: string) => queryOf({ path }).get("path");

test("a word is looked for anywhere in a path; a path and a glob go as they are", (t) => {
  t.is(pathOf("admin"), "*admin*");
  t.is(pathOf("/etc/hosts"), "/etc/hosts");
  t.is(pathOf("/etc/*"), "/etc/*");
});
