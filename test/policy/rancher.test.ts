import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { compileRules } from "../../src/core/policy/rules.ts";
import { loadPolicy } from "../../src/policy/load.ts";

const home = join(import.meta.dirname, "../..");
const dirs = [join(home, "baselines")];

/** Path below /var/lib/rancher/NAME -> rule. */
const below: Readonly<Record<string, string>> = {
  "agent/pod-manifests/kube-apiserver.yaml": "static-pods",
  "agent/pod-manifests/evil": "static-pods",
  "agent/images/evil.tar.zst": "preloaded-images",
  "agent/client-ca.crt": "node-ca-certificates",
  "agent/client-kubelet.crt": "node-certificates",
  "agent/serving-kubelet.key": "node-keys",
  "agent/kubelet.kubeconfig": "kubelet-kubeconfig",
  "agent/kubeproxy.kubeconfig": "node-kubeconfigs",
  "agent/etc/kubelet.conf.d/99-evil.conf": "kubelet-drop-ins",
  "agent/etc/containerd/config.toml.tmpl": "containerd-settings",
  "server/manifests/coredns.yaml": "applied-manifests",
  "server/manifests/sub/evil.yaml": "applied-manifests",
  "server/cred/admin.kubeconfig": "admin-kubeconfigs",
  "server/cred/scheduler.kubeconfig": "scheduler-kubeconfig",
  "server/cred/controller.kubeconfig": "controller-manager-kubeconfig",
  "server/cred/encryption-config.json": "credentials",
  "server/token": "join-tokens",
  "server/etc/egress-selector-config.yaml": "egress-selector",
  "server/tls/client-ca.key": "ca-keys",
  "server/tls/etcd/peer-ca.crt": "ca-certificates",
  "server/tls/serving-kube-apiserver.crt": "leaf-certificates",
  "server/tls/etcd/server-client.key": "leaf-keys",
  "server/tls/service.key": "service-account-keys",
  "server/tls/service.current.key": "service-account-keys",
  "server/tls/dynamic-cert.json": "pki",
  "server/tls-1764000000/client-ca.key": "pki",
  "server/db/etcd": "etcd-directory",
  "server/db/etcd/config": "etcd-settings",
  "server/db/etcd/member/wal": "etcd-directories",
  "server/db/etcd/member/wal/0000000000000001-0000000000000002.wal": "etcd-log",
  "server/db/etcd/member/wal/0.tmp": "etcd-temporary",
  "server/db/etcd/member/snap/db": "etcd-database",
  "server/db/etcd/evil.sh": "etcd",
  "server/db/snapshots/etcd-snapshot-cp-1-1764000000": "database-copies",
  "server/logs/audit.log": "audit-log",
  "data/current": "programs",
  "data/0123abcd/bin/containerd": "programs",
};

const elsewhere: Readonly<Record<string, string | undefined>> = {
  "/etc/rancher/k3s/config.yaml": "settings",
  "/etc/rancher/k3s/k3s.yaml": "admin-kubeconfigs",
  "/etc/rancher/rke2/rke2.yaml": "admin-kubeconfigs",
  "/etc/rancher/rke2/registries.yaml": "settings",
  "/etc/rancher/node/password": "node-password",
  "/etc/systemd/system/k3s.service": "server-unit",
  "/etc/systemd/system/k3s.service.env": "server-unit",
  "/usr/local/lib/systemd/system/rke2-server.service": "server-unit",
  "/usr/lib/systemd/system/rke2-server.service": "server-unit",
  "/usr/local/bin/k3s": "server-programs",
  "/usr/bin/rke2": "server-programs",
  "/var/lib/rancher/rke2/bin": "programs",
  "/var/lib/rancher/k3s/server/db/state.db-wal": "sqlite",
  "/var/lib/rancher/k3s/agent/etc/cni/net.d/00-evil.conflist": "cni-settings",
  "/etc/cni/net.d/calico-kubeconfig": "cni-kubeconfigs",
  "/opt/cni/bin/bridge": "cni-programs",
  "/run/k3s/containerd/containerd.sock": "runtime-socket",
  "/var/lib/kubelet/pods/0123/volumes/x": undefined,
  "/var/lib/rancher/k3s/agent/containerd/x": undefined,
  "/var/lib/rancher/k3s/agent/kube-apiserver123/x": undefined,
  "/var/lib/rancher/rke2/server/db/etcd-tmp/x": undefined,
};

for (const name of ["k3s", "rke2"]) {
  const policy = await loadPolicy([name], { dirs });
  const index = compileRules(policy.rules);

  test(`each path of a ${name} node falls under the rule meant for it`, (t) => {
    const paths = Object.entries(below).map(([path, id]) => [
      `/var/lib/rancher/${name}/${path}`,
      id,
    ]);
    for (const [path = "", id] of [...paths, ...Object.entries(elsewhere)])
      t.is(index.find(path)?.rule.id, id && `rancher/${id}`, path);
  });

  test(`every rule of ${name} says why in a sentence, and names a technique`, (t) => {
    for (const { id, why, attack } of policy.rules) {
      t.regex(why, /^[A-Za-z].+[^.]\.$/, id);
      t.true(attack.length > 0 || id === "linux/etc", id);
    }
  });

  test(`keys of ${name} are never shown as text, and what rotates is verified`, (t) => {
    const own = policy.rules.filter(({ id }) => !id.startsWith("linux/"));
    for (const path of Object.keys(below).filter((one) => /\.(?:key|kubeconfig)$/.test(one)))
      t.regex(
        index.find(`/var/lib/rancher/${name}/${path}`)?.rule.content ?? "",
        /secret|kubeconfig/,
      );
    for (const { id, writers, validators } of own.filter((rule) => rule.class === "rotates"))
      t.true(writers.length > 0 && validators.length > 0, id);
  });

  test(`the directory of a ${name} server is recognised, and no pod's files are walked`, (t) => {
    const root = mkdtempSync(join(tmpdir(), "fim-rancher-"));
    t.teardown(() => rmSync(root, { recursive: true }));
    mkdirSync(join(root, "var/lib/rancher", name, "server"), { recursive: true });
    mkdirSync(join(root, "etc/rancher"), { recursive: true });
    const node = ["--root", root, "--state", join(root, "state")];
    const args = ["policy", "explain", `/var/lib/rancher/${name}/server/token`, ...node];
    const text = execFileSync(join(home, "bin/fim-agent"), args, { encoding: "utf8" });
    t.regex(text, /rancher\/join-tokens/);
    for (const dir of [
      "/var/lib/kubelet/pods",
      `/var/lib/rancher/${name}/agent/containerd`,
      "/proc",
    ])
      t.false(index.mayMatchBelow(dir), dir);
  });
}

test("where k3s and RKE2 have another path than kubeadm, the CIS checks are named there", async (t) => {
  const { rules } = await loadPolicy(["rke2"], { dirs });
  const named = new Set(rules.flatMap(({ cis }) => cis));
  // The owner of etcd's directory is etcd's only under a CIS profile; the unit (4.1.1, 4.1.2) is not the kubelet's.
  const without = new Set(["1.1.12", "4.1.1", "4.1.2"]);
  for (let at = 1; at <= 21; at += 1)
    t.is(named.has(`1.1.${at}`), !without.has(`1.1.${at}`), `1.1.${at}`);
  for (let at = 1; at <= 10; at += 1)
    t.is(named.has(`4.1.${at}`), !without.has(`4.1.${at}`), `4.1.${at}`);
});
