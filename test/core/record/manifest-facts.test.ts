import test from "ava";
import { readFileSync } from "node:fs";
import { manifestFacts } from "../../../src/core/record/manifest-facts.ts";

const manifest = (...lines: readonly string[]): string =>
  ["spec:", "  containers:", "  - command:", ...lines.map((one) => `    - ${one}`)].join("\n");

test("flags and image of a static pod, without those of the node", (t) => {
  const text = `${manifest(
    "kube-apiserver",
    "--advertise-address=10.0.0.1",
    "--anonymous-auth=false",
    "--allow-privileged",
    '"--audit-log-path=/var/log/audit.log"',
  )}\n    image: registry.k8s.io/kube-apiserver:v1.34.1\n`;
  t.deepEqual(manifestFacts("kube-apiserver", text), {
    "kube-apiserver image": "registry.k8s.io/kube-apiserver:v1.34.1",
    "kube-apiserver --anonymous-auth": "false",
    "kube-apiserver --allow-privileged": "true",
    "kube-apiserver --audit-log-path": "/var/log/audit.log",
  });
});

test("a flag that is given twice has both values, in one order", (t) => {
  const text = manifest("--feature-gates=B=true", "--feature-gates=A=true");
  t.deepEqual(manifestFacts("x", text), { "x --feature-gates": "A=true,B=true" });
});

test("a long value is its digest, and the number of facts is bounded", (t) => {
  const [value] = Object.values(manifestFacts("x", manifest(`--a=${"y".repeat(300)}`)));
  t.regex(value ?? "", /^sha256:[\da-f]{64}$/);
  const many = manifest(...Array.from({ length: 1000 }, (_, at) => `--flag-${at}=1`));
  t.is(Object.keys(manifestFacts("x", many)).length, 200);
});

test("two nodes of a cluster that kubeadm made agree, whatever their addresses", (t) => {
  const file = "../../fixtures/kubeadm/etc/kubernetes/manifests/etcd.yaml";
  const text = readFileSync(new URL(file, import.meta.url), "utf8");
  const other = text.replaceAll(/(?!127\.)\b\d+\.\d+\.\d+\.\d+/g, "10.9.8.7");
  t.deepEqual(manifestFacts("etcd", other), manifestFacts("etcd", text));
  t.true(Object.keys(manifestFacts("etcd", text)).includes("etcd --client-cert-auth"));
});

test("a hostile manifest cannot make a heartbeat larger than a collector takes", (t) => {
  const flags = Array.from({ length: 500 }, (_, at) => `--f${at}=${"\u0001".repeat(199)}`);
  const facts = manifestFacts("x", manifest(...flags));
  t.true(Object.keys(facts).length > 0);
  t.true(Buffer.byteLength(JSON.stringify(facts)) <= 8 * 1024 + 2);
});
