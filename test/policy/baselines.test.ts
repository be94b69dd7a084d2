import { join } from "node:path";
import test from "ava";
import { compileRules } from "../../src/core/policy/rules.ts";
import { loadPolicy } from "../../src/policy/load.ts";

const dirs = [join(import.meta.dirname, "../../baselines")];
const linux = await loadPolicy(["linux"], { dirs });
const kubeadm = await loadPolicy(["kubeadm"], { dirs });

/** path -> rule of the policy kubeadm, or none. */
const expected: Readonly<Record<string, string | undefined>> = {
  // The control plane.
  "/etc/kubernetes/manifests": "kubeadm/static-pods",
  "/etc/kubernetes/manifests/kube-apiserver.yaml": "kubeadm/static-pods",
  "/etc/kubernetes/manifests/kube-controller-manager.yaml": "kubeadm/static-pods",
  "/etc/kubernetes/manifests/kube-scheduler.yaml": "kubeadm/static-pods",
  "/etc/kubernetes/manifests/etcd.yaml": "kubeadm/static-pods",
  "/etc/kubernetes/manifests/.hidden": "kubeadm/static-pods",
  "/etc/kubernetes/manifests/evil": "kubeadm/static-pods",
  "/etc/kubernetes/admin.conf": "kubeadm/admin-kubeconfigs",
  "/etc/kubernetes/super-admin.conf": "kubeadm/admin-kubeconfigs",
  "/etc/kubernetes/controller-manager.conf": "kubeadm/controller-manager-kubeconfig",
  "/etc/kubernetes/scheduler.conf": "kubeadm/scheduler-kubeconfig",
  "/etc/kubernetes/kubelet.conf": "kubeadm/kubelet-kubeconfig",
  "/etc/kubernetes/bootstrap-kubelet.conf": "kubeadm/bootstrap-kubeconfig",
  "/etc/kubernetes/pki/ca.crt": "kubeadm/cluster-ca",
  "/etc/kubernetes/pki/ca.key": "kubeadm/ca-keys",
  "/etc/kubernetes/pki/front-proxy-ca.crt": "kubeadm/ca-certificates",
  "/etc/kubernetes/pki/front-proxy-ca.key": "kubeadm/ca-keys",
  "/etc/kubernetes/pki/etcd/ca.crt": "kubeadm/ca-certificates",
  "/etc/kubernetes/pki/etcd/ca.key": "kubeadm/ca-keys",
  "/etc/kubernetes/pki/sa.key": "kubeadm/service-account-key",
  "/etc/kubernetes/pki/sa.pub": "kubeadm/service-account-public-key",
  "/etc/kubernetes/pki/apiserver.crt": "kubeadm/leaf-certificates",
  "/etc/kubernetes/pki/apiserver.key": "kubeadm/leaf-keys",
  "/etc/kubernetes/pki/apiserver-kubelet-client.crt": "kubeadm/leaf-certificates",
  "/etc/kubernetes/pki/apiserver-kubelet-client.key": "kubeadm/leaf-keys",
  "/etc/kubernetes/pki/apiserver-etcd-client.crt": "kubeadm/leaf-certificates",
  "/etc/kubernetes/pki/apiserver-etcd-client.key": "kubeadm/leaf-keys",
  "/etc/kubernetes/pki/front-proxy-client.crt": "kubeadm/leaf-certificates",
  "/etc/kubernetes/pki/front-proxy-client.key": "kubeadm/leaf-keys",
  "/etc/kubernetes/pki/etcd/server.crt": "kubeadm/leaf-certificates",
  "/etc/kubernetes/pki/etcd/peer.key": "kubeadm/leaf-keys",
  "/etc/kubernetes/pki/etcd/healthcheck-client.key": "kubeadm/leaf-keys",
  "/etc/kubernetes/pki/evil.crt": "kubeadm/pki-certificates",
  "/etc/kubernetes/pki/etcd/evil.key": "kubeadm/pki-keys",
  "/etc/kubernetes/pki/evil.pem": "kubeadm/pki",
  "/etc/kubernetes/tmp/kubeadm-upgraded-manifests1/etcd.yaml": "kubeadm/upgrade-files",
  "/etc/kubernetes/tmp/kubeadm-backup-manifests-1": "kubeadm/upgrade-files",
  "/etc/kubernetes/tmp/kubeadm-backup-etcd-1/etcd/member/snap/db": "kubeadm/upgrade-etcd-copies",
  "/etc/kubernetes/encryption.yaml": "kubeadm/kubernetes-settings",
  "/etc/kubernetes/audit-policy.yaml": "kubeadm/audit-policy",
  "/etc/kubernetes/kubelet.conf.d/20-evil.conf": "kubeadm/kubelet-drop-ins",
  "/var/lib/kubelet/config.yaml": "kubeadm/kubelet-settings",
  "/var/lib/kubelet/instance-config.yaml": "kubeadm/kubelet-instance-settings",
  "/var/lib/kubelet/kubeadm-flags.env": "kubeadm/kubelet-flags",
  "/etc/default/kubelet": "kubeadm/kubelet-flags",
  "/etc/sysconfig/kubelet": "kubeadm/kubelet-flags",
  "/var/lib/kubelet/pki/kubelet-client-2026-01-01-00-00-00.pem":
    "kubeadm/kubelet-client-certificates",
  "/var/lib/kubelet/pki/kubelet-client-current.pem": "kubeadm/kubelet-client-certificates",
  "/var/lib/kubelet/pki/kubelet-server-current.pem": "kubeadm/kubelet-client-certificates",
  "/var/lib/kubelet/pki/kubelet.crt": "kubeadm/kubelet-serving-certificate",
  "/var/lib/kubelet/pki/kubelet.key": "kubeadm/kubelet-serving-key",
  "/usr/lib/systemd/system/kubelet.service": "kubeadm/kubelet-service",
  "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf": "kubeadm/kubelet-service",
  "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf": "kubeadm/kubelet-service",
  "/var/lib/kubelet/pods/0123/volumes/x": undefined,
  "/var/lib/kubelet/cpu_manager_state": undefined,
  "/usr/bin/kubelet": "kubeadm/kubernetes-programs",
  "/usr/local/bin/crictl": "kubeadm/kubernetes-programs",
  "/usr/bin/containerd": "kubeadm/runtime-programs",
  "/usr/local/bin/containerd-shim-runc-v2": "kubeadm/runtime-programs",
  "/usr/local/bin/ctr": "kubeadm/runtime-programs",
  "/usr/sbin/runc": "kubeadm/runtime-programs",
  "/usr/local/sbin/runc": "kubeadm/runtime-programs",
  "/usr/bin/python3": "linux/programs",
  "/opt/cni/bin/bridge": "kubeadm/cni-programs",

  // The runtime.
  "/etc/containerd/config.toml": "kubeadm/containerd-settings",
  "/etc/containerd/certs.d/docker.io/hosts.toml": "kubeadm/containerd-settings",
  "/etc/crio/crio.conf.d/10.conf": "kubeadm/crio-settings",
  "/etc/containers/policy.json": "kubeadm/crio-settings",
  "/etc/containers/oci/hooks.d/x.json": "kubeadm/runtime-hooks",
  "/usr/share/containers/oci/hooks.d/x.json": "kubeadm/runtime-hooks",
  "/opt/nri/plugins/00-evil": "kubeadm/nri-plugins",
  "/etc/nri/conf.d/x.conf": "kubeadm/nri-plugins",
  "/etc/cdi/gpu.json": "kubeadm/device-injection",
  "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/v~d/d": "kubeadm/volume-plugins",
  "/var/lib/kubelet/plugins_registry/x-reg.sock": "kubeadm/plugin-sockets",
  "/var/lib/kubelet/plugins/csi/csi.sock": "kubeadm/plugin-sockets",
  "/var/lib/kubelet/plugins/kubernetes.io/csi/pv/x/globalmount/f": undefined,
  "/var/lib/kubelet/device-plugins/kubelet_internal_checkpoint": undefined,
  "/var/lib/kubelet/device-plugins/kubelet.sock": "kubeadm/plugin-sockets",
  "/var/lib/kubelet/seccomp/profile.json": "kubeadm/seccomp-profiles",
  "/var/lib/kubelet/checkpoints/c.tar": "kubeadm/checkpoints",
  "/var/lib/kubelet/credential-provider/ecr": "kubeadm/credential-providers",
  "/etc/cni/net.d/10-calico.conflist": "kubeadm/cni-settings",
  "/etc/cni/net.d/calico-kubeconfig": "kubeadm/cni-kubeconfigs",
  "/etc/cni/net.d/multus.d/multus.kubeconfig": "kubeadm/cni-kubeconfigs",
  "/run/containerd/containerd.sock": "kubeadm/runtime-sockets",
  "/run/containerd/io.containerd.runtime.v2.task/k8s.io/x/config.json": undefined,

  // etcd.
  "/var/lib/etcd": "kubeadm/etcd-directory",
  "/var/lib/etcd/member": "kubeadm/etcd-directories",
  "/var/lib/etcd/member/wal": "kubeadm/etcd-directories",
  "/var/lib/etcd/.touch": "kubeadm/etcd-temporary",
  "/var/lib/etcd/member/snap/.touch": "kubeadm/etcd-temporary",
  "/var/lib/etcd/member/wal.tmp": "kubeadm/etcd-temporary",
  "/var/lib/etcd/member/wal/0000000000000001-0000000000000002.wal": "kubeadm/etcd-log",
  "/var/lib/etcd/member/wal/0.tmp": "kubeadm/etcd-temporary",
  "/var/lib/etcd/member/wal/0000000000000001-0000000000000002.wal.broken": "kubeadm/etcd",
  "/var/lib/etcd/member/snap/db": "kubeadm/etcd-database",
  "/var/lib/etcd/member/snap/db.tmp.123": "kubeadm/etcd-temporary",
  "/var/lib/etcd/member/snap/tmp123": "kubeadm/etcd-temporary",
  "/var/lib/etcd/member/snap/0000000000000001.snap.db": "kubeadm/etcd-temporary",
  "/var/lib/etcd/member/snap/0000000000000001-0000000000000002.snap": "kubeadm/etcd-snapshots",
  "/var/lib/etcd/member/snap/db.bak": "kubeadm/etcd",
  "/var/lib/etcd/evil.sh": "kubeadm/etcd",
  "/var/log/kubernetes/audit/audit.log": "kubeadm/audit-log",
  "/var/log/kubernetes/audit.log": "kubeadm/audit-log",

  // The host.
  "/etc/crontab": "linux/cron",
  "/etc/cron.d/persistevil": "linux/cron",
  "/etc/cron.hourly/x": "linux/cron",
  "/etc/cron.daily/x": "linux/cron",
  "/etc/cron.weekly/x": "linux/cron",
  "/etc/cron.monthly/x": "linux/cron",
  "/etc/cron.allow": "linux/cron",
  "/etc/cron.deny": "linux/cron",
  "/var/spool/cron/crontabs/root": "linux/cron-spool",
  "/var/spool/cron/atjobs/a1": "linux/cron-spool",
  "/var/spool/cron/atjobs/.SEQ": undefined,
  "/var/spool/at/a1": "linux/cron-spool",
  "/var/spool/anacron/cron.daily": "linux/anacron-times",
  "/etc/systemd/system/art-timer.timer": "linux/systemd-units",
  "/etc/systemd/system/ssh.service.d/x.conf": "linux/systemd-units",
  "/etc/systemd/user/x.service": "linux/systemd-units",
  "/etc/systemd/journald.conf": "linux/systemd-settings",
  "/usr/lib/systemd/system/x.service": "linux/systemd-vendor-units",
  "/usr/local/lib/systemd/system/x.service": "linux/systemd-units",
  "/etc/systemd/system-generators/x": "linux/systemd-generators",
  "/usr/lib/systemd/system-generators/x": "linux/systemd-generators",
  "/usr/local/lib/systemd/system-generators/x": "linux/systemd-generators",
  "/run/systemd/system/x.service": "linux/systemd-runtime-units",
  "/run/systemd/transient/x.scope": "linux/systemd-runtime-units",
  "/run/systemd/system-generators/x": "linux/systemd-runtime-generators",
  "/run/systemd/generator/x.mount": undefined,
  "/run/udev/rules.d/99-x.rules": "linux/event-scripts",
  "/etc/init.d/T1543.002": "linux/init-scripts",
  "/etc/rc.local": "linux/init-scripts",
  "/etc/rc.common": "linux/init-scripts",
  "/root/.ssh/authorized_keys": "linux/ssh-root-keys",
  "/root/.ssh/authorized_keys2": "linux/ssh-root-keys",
  "/root/.ssh/id_ed25519": "linux/ssh-root",
  "/root/.ssh/known_hosts": undefined,
  "/home/u/.ssh/authorized_keys": "linux/ssh-users",
  "/home/u/.ssh/known_hosts.old": undefined,
  "/home/u/.cache/x": undefined,
  "/home/u/notes.txt": undefined,
  "/etc/ssh/sshd_config": "linux/ssh-server",
  "/etc/ssh/sshd_config.d/x.conf": "linux/ssh-server",
  "/etc/ssh/ssh_host_ed25519_key": "linux/ssh-host-keys",
  "/etc/ssh/ssh_host_ed25519_key.pub": "linux/ssh-server",
  "/etc/passwd": "linux/accounts",
  "/etc/group": "linux/accounts",
  "/etc/subuid": "linux/accounts",
  "/etc/subgid": "linux/accounts",
  "/etc/shadow": "linux/passwords",
  "/etc/gshadow": "linux/passwords",
  "/etc/shadow-": "linux/account-backups",
  "/etc/passwd.lock": undefined,
  "/etc/.pwd.lock": undefined,
  "/etc/sudoers": "linux/sudo",
  "/etc/sudoers.d/x": "linux/sudo",
  "/etc/pam.d/su-l": "linux/pam",
  "/etc/pam.conf": "linux/pam",
  "/etc/security/pam_env.conf": "linux/pam",
  "/usr/lib/x86_64-linux-gnu/security/pam_unix.so": "linux/pam-modules",
  "/usr/lib64/security/pam_unix.so": "linux/pam-modules",
  "/etc/ld.so.preload": "linux/ld-preload",
  "/etc/ld.so.conf": "linux/ld-paths",
  "/etc/ld.so.conf.d/x.conf": "linux/ld-paths",
  "/etc/ld.so.cache": "linux/ld-cache",
  "/etc/profile": "linux/shell-profiles",
  "/etc/profile.d/bash_completion.sh": "linux/shell-profiles",
  "/etc/bash.bashrc": "linux/shell-profiles",
  "/root/.bashrc": "linux/shell-profiles-root",
  "/root/.profile": "linux/shell-profiles-root",
  "/root/.bash_profile": "linux/shell-profiles-root",
  "/root/.bash_history": "linux/shell-history",
  "/home/u/.zsh_history": "linux/shell-history",
  "/home/u/.bashrc": "linux/shell-profiles-users",
  "/etc/modules": "linux/kernel-module-settings",
  "/etc/modules-load.d/x.conf": "linux/kernel-module-settings",
  "/etc/modprobe.d/x.conf": "linux/kernel-module-settings",
  "/usr/lib/modules/6.1.0/extra/evil.ko": "linux/kernel-modules",
  "/usr/lib/dracut/modules.d/99x/module-setup.sh": "linux/kernel-modules",
  "/boot/vmlinuz": "linux/boot",
  "/boot/grub/grub.cfg": "linux/boot",
  "/boot/grub/grubenv": undefined,
  "/etc/udev/rules.d/99-x.rules": "linux/event-scripts",
  "/etc/polkit-1/rules.d/x.rules": "linux/polkit",
  "/usr/share/polkit-1/rules.d/x.rules": "linux/polkit-vendor",
  "/usr/share/polkit-1/actions/x.policy": "linux/event-scripts-vendor",
  "/etc/dbus-1/system.d/x.conf": "linux/event-scripts",
  "/etc/update-motd.d/00-x": "linux/event-scripts",
  "/etc/NetworkManager/dispatcher.d/x": "linux/event-scripts",
  "/etc/apt/apt.conf.d/99x": "linux/package-managers",
  "/etc/yum/pluginconf.d/x.conf": "linux/package-managers",
  "/etc/dnf/plugins/x.conf": "linux/package-managers",
  "/usr/bin/su": "linux/setuid-programs",
  "/usr/bin/sudo": "linux/setuid-programs",
  "/usr/bin/ssh-agent": "linux/setgid-programs",
  "/usr/bin/dpkg": "linux/writers",
  "/usr/bin/new": "linux/programs",
  "/usr/bin/new.dpkg-new": undefined,
  "/usr/sbin/new": "linux/programs",
  "/usr/libexec/dir/new": "linux/programs",
  "/usr/lib/systemd/systemd": "linux/writers",
  "/usr/local/bin/x": "linux/local-programs",
  "/usr/local/lib/libevil.so": "linux/local-libraries",
  "/usr/local/lib/python3.11/dist-packages/evil.pth": "linux/python-start",
  "/usr/lib/python3/dist-packages/sitecustomize.py": "linux/python-start",
  "/usr/lib/python3.11/usercustomize.py": "linux/python-start",
  "/usr/lib/python3/dist-packages/yaml.py": undefined,
  "/root/.local/lib/python3.11/site-packages/evil.pth": "linux/python-start",
  "/home/u/.local/lib/python3.11/site-packages/usercustomize.py": "linux/python-start",
  "/var/log/syslog": "linux/logs",
  "/var/log/auth.log": "linux/login-logs",
  "/var/log/secure": "linux/login-logs",
  "/var/log/audit/audit.log": "linux/audit-logs",
  "/var/log/wtmp": "linux/login-records",
  "/var/log/btmp": "linux/login-records",
  "/var/log/auth.log.1": undefined,
  "/etc/hosts": "linux/hosts",
  "/etc/resolv.conf": "linux/resolver",
  "/etc/sysctl.d/x.conf": "linux/kernel-settings",
  "/etc/audit/rules.d/x.rules": "linux/defences",
  "/etc/mtab": undefined,
  "/etc/cups/subscriptions.conf": undefined,
  "/etc/anything": "linux/etc",
  "/etc/fim-agent/agent.yaml": "linux/agent",
  "/etc/systemd/system/fim-agent.service": "linux/agent",
  "/var/lib/fim-agent/agent.key": "linux/agent-key",
  "/var/lib/fim-agent/state.db": undefined,
  "/tmp/x": undefined,
};

for (const policy of [linux, kubeadm]) {
  test(`every rule of ${policy.name} says why in a sentence, and names a technique`, (t) => {
    t.true(policy.rules.length > 20);
    for (const { id, why, attack } of policy.rules) {
      t.regex(why, /^[A-Za-z].+[^.]\.$/, id);
      t.true(attack.length > 0 || id === "linux/etc", id);
    }
  });
}

test("each path of a kubeadm node falls under the rule meant for it", (t) => {
  const index = compileRules(kubeadm.rules);
  for (const [path, id] of Object.entries(expected)) t.is(index.find(path)?.rule.id, id, path);
});

test("on a plain host the same paths fall under the same rules of linux", (t) => {
  const index = compileRules(linux.rules);
  for (const [path, id] of Object.entries(expected))
    if (id?.startsWith("linux/")) t.is(index.find(path)?.rule.id, id, path);
});

test("keys and kubeconfigs are never shown as text", (t) => {
  const index = compileRules(kubeadm.rules);
  for (const path of Object.keys(expected)) {
    const content = index.find(path)?.rule.content;
    if (/\.(key|pem)$/.test(path)) t.is(content, "secret", path);
    if (/kubernetes\/[a-z-]+\.conf$|kubeconfig$/.test(path)) t.is(content, "kubeconfig", path);
  }
});

test("no walk goes into pods, caches or documentation", (t) => {
  const index = compileRules(kubeadm.rules);
  const never = [
    "/var/lib/kubelet/pods",
    "/home/u/.cache",
    "/usr/share/doc",
    "/usr/lib/python3/dist-packages/yaml",
    "/proc",
  ];
  for (const dir of [...never, "/var/lib/containerd", "/var/lib/kubelet/plugins/kubernetes.io/csi"])
    t.false(index.mayMatchBelow(dir), dir);
  for (const wide of ["/", "/usr", "/usr/lib", "/var", "/var/lib", "/run", "/root", "/opt"])
    t.false(index.roots.includes(wide), wide);
});

test("keys of the cluster are critical, and every key says its mode", (t) => {
  const index = compileRules(kubeadm.rules);
  for (const path of Object.keys(expected).filter((one) => one.endsWith(".key"))) {
    const rule = index.find(path)?.rule;
    t.is(rule?.mode, "0600", path);
    if (path.startsWith("/etc/kubernetes/pki/")) t.is(rule?.severity, "critical", path);
  }
});

test("rules that let content rotate say who may do it and how that is verified", (t) => {
  const rotating = kubeadm.rules.filter((rule) => rule.class === "rotates");
  t.true(rotating.length >= 6);
  for (const { id, writers, validators } of rotating) {
    t.true(writers.length > 0, id);
    t.true(validators.length > 0, id);
  }
});

test("the CIS checks of section 1.1 and 4.1 for a kubeadm node are all named", (t) => {
  const named = new Set(kubeadm.rules.flatMap(({ cis }) => cis));
  const sections: readonly [section: string, last: number][] = [
    ["1.1", 21],
    ["4.1", 10],
  ];
  for (const [section, last] of sections)
    for (let at = 1; at <= last; at += 1) t.true(named.has(`${section}.${at}`), `${section}.${at}`);
});
