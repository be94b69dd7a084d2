import { createCipheriv, createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { cachedPki } from "./pki.ts";

const fixtures = join(import.meta.dirname, "../fixtures/kubeadm");

/** A directory of the test's own, removed at the end of its scope. */
export interface Place {
  readonly dir: string;
  /** A path as the node has it ("/etc/passwd") -> where it lies here. */
  at(path: string): string;
  [Symbol.dispose](): void;
}

export function makePlace(): Place {
  const dir = mkdtempSync(join(tmpdir(), "fim-test-"));
  return {
    dir,
    at: (path) => join(dir, path),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/**
 * Builds a control-plane node made by kubeadm below this directory: manifests and kubelet files of a real
 * `kubeadm init` (v1.20.2) with their real modes, fresh keys and certificates, and the ordinary files around them.
 */
export function makeControlPlane(root: string): void {
  mkdirSync(root, { recursive: true });
  chmodSync(root, 0o755);
  for (const part of ["etc", "var"]) {
    cpSync(join(fixtures, part), join(root, part), { recursive: true });
    cpSync(join(cachedPki(), part), join(root, part), { recursive: true, verbatimSymlinks: true });
  }
  for (const [path, mode] of directories) makeDirectory(join(root, path), mode);
  for (const [path, mode, text] of ordinary) {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(root, path), text);
    chmodSync(join(root, path), mode);
  }
  for (const path of binaries) {
    mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    writeFileSync(join(root, path), binaryOf(path));
    chmodSync(join(root, path), 0o755);
  }
  applyModes(root);
}

/** Lines of modes.txt: "f 600 root:root etc/kubernetes/admin.conf". */
function applyModes(root: string): void {
  const lines = readFileSync(join(fixtures, "modes.txt"), "utf8").trimEnd().split("\n");
  for (const line of lines) {
    const [, mode, owner, path] = /^[df] (\d+) (\S+) (\S+)$/.exec(line) ?? [];
    if (!mode || owner !== "root:root" || !path) throw new Error(`modes.txt: cannot read ${line}`);
    chmodSync(join(root, path), Number.parseInt(mode, 8));
    if (process.getuid?.() === 0) chownSync(join(root, path), 0, 0);
  }
}

function makeDirectory(path: string, mode: number): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
}

/** 256 KiB that look like a program: the same for each name, different for every two. */
function binaryOf(path: string): Buffer {
  const key = createHash("sha256").update(path).digest();
  const noise = createCipheriv("aes-256-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(1 << 18));
  noise.write("\x7fELF\x02\x01\x01", "latin1");
  return noise;
}

const directories: readonly (readonly [path: string, mode: number])[] = [
  ["var/lib/etcd", 0o700],
  ["var/spool/cron/crontabs", 0o1730],
  ["root", 0o700],
  ["root/.ssh", 0o700],
  ["tmp", 0o1777],
  ["etc/kubernetes/pki/etcd", 0o755],
];

const binaries: readonly string[] = [
  ...[
    "kubelet",
    "kubeadm",
    "kubectl",
    "crictl",
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
  ].map((name) => `usr/bin/${name}`),
  "usr/sbin/runc",
  ...["bridge", "host-local", "loopback", "portmap", "calico"].map((name) => `opt/cni/bin/${name}`),
];

const kubeletUnit = `[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
`;

const kubeadmDropIn = `[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`;

const conflist = `{
  "name": "k8s-pod-network",
  "cniVersion": "0.3.1",
  "plugins": [
    { "type": "calico", "datastore_type": "kubernetes", "ipam": { "type": "calico-ipam" } },
    { "type": "portmap", "snat": true, "capabilities": { "portMappings": true } }
  ]
}
`;

const ordinary: readonly (readonly [path: string, mode: number, text: string])[] = [
  [
    "etc/passwd",
    0o644,
    "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\nadmin:x:1000:1000::/home/admin:/bin/bash\n",
  ],
  ["etc/group", 0o644, "root:x:0:\ndaemon:x:1:\nshadow:x:42:\nadmin:x:1000:\n"],
  ["etc/shadow", 0o640, "root:*:19000:0:99999:7:::\nadmin:!:19000:0:99999:7:::\n"],
  ["etc/gshadow", 0o640, "root:*::\nshadow:*::\n"],
  ["etc/sudoers", 0o440, "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n"],
  ["etc/hosts", 0o644, "127.0.0.1 localhost\n10.77.0.1 cp-1\n"],
  ["etc/hostname", 0o644, "cp-1\n"],
  ["etc/os-release", 0o644, 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12"\n'],
  ["etc/machine-id", 0o444, "0123456789abcdef0123456789abcdef\n"],
  ["etc/profile", 0o644, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"],
  ["etc/ld.so.conf", 0o644, "include /etc/ld.so.conf.d/*.conf\n"],
  ["etc/pam.d/common-auth", 0o644, "auth required pam_unix.so\n"],
  ["etc/ssh/sshd_config", 0o644, "PermitRootLogin no\nPasswordAuthentication no\n"],
  ["etc/crontab", 0o644, "17 * * * * root run-parts /etc/cron.hourly\n"],
  ["etc/cron.d/e2scrub_all", 0o644, "30 3 * * 0 root /usr/sbin/e2scrub_all_cron\n"],
  ["etc/cron.daily/logrotate", 0o755, "#!/bin/sh\nexec /usr/sbin/logrotate /etc/logrotate.conf\n"],
  ["etc/systemd/system/node.target", 0o644, "[Unit]\nDescription=This node\n"],
  ["usr/lib/systemd/system/kubelet.service", 0o644, kubeletUnit],
  ["usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf", 0o644, kubeadmDropIn],
  ["etc/default/kubelet", 0o644, "KUBELET_EXTRA_ARGS=\n"],
  ["etc/containerd/config.toml", 0o644, "version = 2\n"],
  ["etc/cni/net.d/10-calico.conflist", 0o600, conflist],
  [
    "root/.ssh/authorized_keys",
    0o600,
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHRlc3Q= admin@example.org\n",
  ],
  ["root/.bashrc", 0o644, "umask 022\n"],
];
