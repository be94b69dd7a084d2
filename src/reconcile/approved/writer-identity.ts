import { compare } from "../../core/change/compare.ts";
import { isStaticPod } from "../../core/cgroup.ts";
import type { Actor } from "../../core/change/hint.ts";
import type { Observation } from "../../core/change/observation.ts";
import { joinPath, nameOf, parentOf } from "../../core/path.ts";
import type { RuleIndex } from "../../core/policy/rule.ts";
import type { Approvals } from "../../outbox/approvals.ts";
import { approvedAt } from "./approvals.ts";
import { resolveInRoot } from "../../linux/resolve.ts";

/** The parts of an open node and its state that a program's identity needs. */
export interface Approved {
  readonly node: {
    readonly root: string;
    readonly index: Pick<RuleIndex, "find">;
    readonly observer: {
      observe(path: string, want: { readonly hash: false }): Observation | undefined;
    };
  };
  readonly state: {
    readonly baseline: { readonly rows: Known };
    readonly approvals: Pick<Approvals, "get">;
    readonly current: Known;
  };
}

interface Known {
  get(path: string): Observation | undefined;
}

interface KnownTree extends Known {
  below(directory: string): Iterable<{ readonly path: string }>;
}

/** Directories in which kubelets look for static pods: kubeadm's, k3s's and RKE2's. */
export const manifestDirectories = [
  "/etc/kubernetes/manifests",
  "/var/lib/rancher/k3s/agent/pod-manifests",
  "/var/lib/rancher/rke2/agent/pod-manifests",
];

/**
 * Whether a container belongs to a static pod of this node whose manifest is in its approved state. The pod of
 * manifests/etcd.yaml is called etcd-<node>. Right after a start its name may be unknown: then the uid decides.
 */
export function isInStaticPod(
  { pod, podUid }: NonNullable<Actor["container"]>,
  {
    node,
    state,
  }: Approved & { readonly state: { readonly baseline: { readonly rows: KnownTree } } },
): boolean {
  if (!isStaticPod(podUid)) return false;
  if (pod === undefined) return true;
  return manifestDirectories
    .flatMap((directory) => [...state.baseline.rows.below(directory)])
    .filter(({ path }) => pod.startsWith(`${nameOf(path).replace(/\.(?:ya?ml|json)$/, "")}-`))
    .some(({ path }) => {
      const there = node.observer.observe(path, { hash: false });
      return there !== undefined && isAsApproved(path, there, { node, state });
    });
}

/**
 * Whether a process runs the node's own file of that name (no copy in another mount namespace), in its approved
 * state. Undefined: its file or mount namespace is no longer known.
 */
export function isApprovedExecutable(actor: Actor, approved: Approved): boolean | undefined {
  const { exe, executable, cgroup } = actor;
  if (exe === undefined || executable === undefined || cgroup === undefined) return undefined;
  const there = approved.node.observer.observe(exe, { hash: false });
  if (there?.ino !== executable.ino || there.dev !== executable.dev) return false;
  return isAsApproved(exe, there, approved);
}

/** By its path, or by a link that leads to the same file. */
export function isAllowedWriter(
  actor: Actor,
  writers: readonly string[],
  approved: Approved,
): boolean {
  const { exe, executable } = actor;
  if (exe === undefined) return false;
  if (writers.includes(exe)) return true;
  const { root } = approved.node;
  // By its name alone when its file is unknown: then it is not approved either.
  const real = executable ? exe : (realPath(exe, root) ?? exe);
  return writers.some(
    (writer) => realPath(writer, root) === real && leadsTo(writer, real, approved),
  );
}

function realPath(path: string, root: string): string | undefined {
  return path.startsWith("/") ? resolveInRoot(root, path)?.path : undefined;
}

/** Symbolic links on the way to a file, as many as the kernel follows (path_resolution(7)). */
const mostLinks = 40;

/** Every symbolic link on the way must be approved, else a new link could name any program. */
function leadsTo(path: string, end: string, approved: Approved): boolean {
  let at = "/";
  let links = 0;
  const rest = namesOf(path);
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const next = name === ".." ? parentOf(at) : joinPath(at, name);
    const there = approved.node.observer.observe(next, { hash: false });
    if (there?.target === undefined) {
      at = next;
      continue;
    }
    links += 1;
    if (links > mostLinks || !isAsApproved(next, there, approved)) return false;
    if (there.target.startsWith("/")) at = "/";
    rest.unshift(...namesOf(there.target));
  }
  return at === end;
}

function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/** A path without a rule has no approved state. */
function isAsApproved(path: string, there: Observation, { node, state }: Approved): boolean {
  const approved = approvedAt(state, path);
  const current = state.current.get(path);
  if (!approved) return !current && !node.index.find(path);
  if (!current || compare({ path, before: approved, after: current })) return false;
  return current.ctime === there.ctime;
}
