import { spawnSync } from "node:child_process";
import { basename } from "node:path";

const packages: Readonly<Record<string, string>> = {
  setfacl: "acl",
  getfacl: "acl",
  setcap: "libcap2-bin",
  getcap: "libcap2-bin",
  setfattr: "attr",
  chattr: "e2fsprogs",
  python3: "python3",
  strace: "strace",
  promtool: "prometheus",
  prometheus: "prometheus",
  rpmbuild: "rpm",
  buildah: "buildah",
  "systemd-analyze": "systemd",
  etcd: "etcd-server",
  etcdctl: "etcd-client",
  rsyslogd: "rsyslog",
  ip: "iproute2",
};

/** The first of these programs, by name or path, that is missing, and how to install it. Undefined: none. */
export function missingProgram(...names: readonly string[]): string | undefined {
  const missing = names.find((name) => spawnSync("sh", ["-c", `command -v ${name}`]).status !== 0);
  return (
    missing &&
    `${missing} is missing: apt-get install ${packages[basename(missing)] ?? basename(missing)}`
  );
}

export const rootMissing: string | undefined = process.getuid?.() === 0 ? undefined : "needs root";

/** Why nothing can be mounted here. Undefined: it can. */
export function mountMissing(): string | undefined {
  const { status } = spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "none", "/mnt"]);
  return status === 0 ? undefined : "needs the right to mount";
}

/** Why no network namespace can be made here. Undefined: it can. */
export function networkMissing(): string | undefined {
  const missing = missingProgram("ip", "nsenter");
  if (missing !== undefined) return missing;
  return spawnSync("unshare", ["-n", "true"]).status === 0
    ? undefined
    : "needs the right to make network namespaces";
}

/** Why strace cannot trace here. Undefined: it can. */
export function straceMissing(): string | undefined {
  const missing = missingProgram("strace");
  if (missing !== undefined) return missing;
  return spawnSync("strace", ["-o", "/dev/null", "true"]).status === 0
    ? undefined
    : "needs the right to trace";
}
