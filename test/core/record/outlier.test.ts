import test from "ava";
import fc from "fast-check";
import { outlierPatience, outlierSeverity, outliersOf } from "../../../src/core/record/outlier.ts";

const nodes = (...values: readonly (string | undefined)[]) =>
  values.map((value, id) => ({ id, facts: value === undefined ? {} : { ca: value } }));

test("of three nodes, the one that differs is the outlier", (t) => {
  const expected = [{ id: 1, fact: "ca", value: "b", expected: "a" }];
  t.deepEqual(outliersOf(nodes("a", "b", "a")), expected);
});

test("nodes that agree, one alone, and one without the fact are no outliers", (t) => {
  t.deepEqual(outliersOf(nodes("a", "a", "a")), []);
  t.deepEqual(outliersOf(nodes("a")), []);
  t.deepEqual(outliersOf(nodes("a", undefined, "a")), []);
});

test("without a majority every node is one", (t) => {
  t.deepEqual(
    outliersOf(nodes("a", "b")).map(({ id, expected }) => [id, expected]),
    [
      [0, undefined],
      [1, undefined],
    ],
  );
});

test("an outlier never has the majority's value, and every other value is one", (t) => {
  const value = fc.constantFrom("a", "b", "c", undefined);
  const property = fc.property(fc.array(value, { maxLength: 9 }), (values) => {
    const found = outliersOf(nodes(...values));
    const [first] = found;
    if (!first) return new Set(values.filter((one) => one !== undefined)).size <= 1;
    return values.every(
      (one, id) =>
        one === undefined || one === first.expected || found.some((each) => each.id === id),
    );
  });
  t.notThrows(() => fc.assert(property));
});

test("a flag that one manifest lacks differs; a node without the manifest does not", (t) => {
  const flags = { "kube-apiserver image": "v1", "kube-apiserver --audit-log-path": "/log" };
  const found = outliersOf([
    { id: 0, facts: flags },
    { id: 1, facts: { "kube-apiserver image": "v1" } },
    { id: 2, facts: flags },
    { id: 3, facts: { policy: "aa" } },
  ]);
  const fact = "kube-apiserver --audit-log-path";
  t.deepEqual(found, [{ id: 1, fact, value: "absent", expected: "/log" }]);
  t.is(outlierSeverity(fact), "high");
});

test("another certificate authority is critical", (t) => {
  t.is(outlierSeverity("/etc/kubernetes/pki/ca.crt"), "critical");
  t.is(outlierSeverity("policy"), "high");
  t.is(outlierSeverity("/usr/bin/kubelet"), "medium");
});

test("versions may differ for an upgrade's time, a certificate authority never", (t) => {
  t.is(outlierPatience("kube-apiserver image"), 3_600_000);
  t.is(outlierPatience("/usr/bin/kubelet"), 3_600_000);
  t.is(outlierPatience("kube-apiserver --authorization-mode"), 600_000);
  t.is(outlierPatience("/etc/kubernetes/pki/ca.crt"), 0);
});
