/** The container that a cgroup's path names. */
export interface CgroupIdentity {
  /** 64 hex digits; of LXC and systemd-nspawn, the container's name. */
  readonly containerId: string;
  /** With dashes; a static pod's is 32 hex digits without. */
  readonly podUid?: string;
}

const containerPattern = /[0-9a-f]{64}/g;
/** Monitors of CRI-O's and Podman's, which are no containers. */
const monitorPattern = /(?:^|\/)(?:crio|libpod)-conmon-[^/]*/g;
/** LXC's "lxc.payload.<name>", "lxc/<name>" before version 4; "payload" below a unit of systemd-nspawn. */
const machinePattern =
  /^\/(?:(?:lxc\.payload\.|lxc\/)(?<lxc>[^/]+)|(?:.*\/)?(?:machine-(?<machine>[^/]+)\.scope|systemd-nspawn@(?<service>[^/]+)\.service)\/payload(?:\/|$))/;
const podPattern =
  /pod(?<uid>[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?![0-9a-f])/;

/** The kubelet makes such uids for pods from files; those of the API server are UUIDs (pkg/kubelet/config/common.go). */
export function isStaticPod(podUid: string | undefined): boolean {
  return podUid !== undefined && /^[0-9a-f]{32}$/.test(podUid);
}

/** One cgroup's path -> its container, or undefined. The last id counts, because containers nest. */
export function parseCgroupPath(path: string): CgroupIdentity | undefined {
  const clean = path.replace(monitorPattern, "");
  const containerId = clean.match(containerPattern)?.at(-1);
  if (containerId === undefined) return machineIn(clean);
  const before = clean.slice(0, clean.lastIndexOf(containerId));
  const uid = podPattern.exec(before)?.groups?.["uid"]?.replaceAll("_", "-");
  return uid === undefined ? { containerId } : { containerId, podUid: uid };
}

function machineIn(path: string): CgroupIdentity | undefined {
  const { lxc, machine, service } = machinePattern.exec(path)?.groups ?? {};
  const unit = machine ?? service;
  // systemd.unit(5): "-" in a name is written "\x2d".
  const name = unit?.replaceAll("\\x2d", "-");
  const containerId = lxc ?? name;
  return containerId === undefined ? undefined : { containerId };
}

/**
 * The text of /proc/PID/cgroup (cgroups(7)) -> the most specific path: version 2's ("0::"), unless only a version 1
 * hierarchy names a container. Undefined: none.
 */
export function chooseCgroup(text: string): string | undefined {
  const lines = text.split("\n").filter((line) => line !== "");
  const paths = lines.map((line) => line.split(":").slice(2).join(":"));
  const named = paths.find((path) => parseCgroupPath(path) !== undefined);
  if (named !== undefined) return named;
  const second = lines.findIndex((line) => line.startsWith("0::"));
  return second < 0 ? (paths.find((path) => path !== "/") ?? paths[0]) : paths[second];
}
