import { readFileSync, readdirSync } from "node:fs";
import type { CgroupIdentity } from "../core/cgroup.ts";
import type { Actor } from "../core/change/hint.ts";

type Container = NonNullable<Actor["container"]>;
type Names = Omit<Container, "id" | "podUid">;

/** Where runtimes keep a container's config.json, below the node's root. */
const bundles: readonly ((id: string) => string)[] = [
  (id) => `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/config.json`,
  (id) => `/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/${id}/config.json`,
  (id) => `/run/containers/storage/overlay-containers/${id}/userdata/config.json`,
  (id) => `/var/lib/containers/storage/overlay-containers/${id}/userdata/config.json`,
];

const annotations = {
  name: [
    "io.kubernetes.cri.container-name",
    "io.kubernetes.cri-o.KubeName",
    "io.kubernetes.container.name",
  ],
  pod: ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"],
  namespace: [
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.cri-o.Namespace",
    "io.kubernetes.pod.namespace",
  ],
} as const satisfies Record<keyof Names, readonly string[]>;

const mostRemembered = 500;
/** Milliseconds until a container without a name is looked up again: its log appears after its start. */
const lookAgainAfter = 5000;

/** Container ids -> names, from the node's own files; needs no API server. */
export class ContainerNames {
  readonly #root: string;
  readonly #known = new Map<string, { readonly names: Names; readonly until: number }>();

  /** Where the agent sees the node's root. */
  constructor(root: string) {
    this.#root = root === "/" ? "" : root;
  }

  describe(identity: CgroupIdentity, now: number): Container {
    const { containerId: id, podUid } = identity;
    return { id, ...this.#names(id, now), ...(podUid === undefined ? {} : { podUid }) };
  }

  #names(id: string, now: number): Names {
    const known = this.#known.get(id);
    if (known && now < known.until) return known.names;
    const names = isOfRuntime(id)
      ? (namesFromLogs(this.#root, id) ?? namesFromBundle(this.#root, id))
      : {};
    if (this.#known.size >= mostRemembered) this.#known.clear();
    const until = names ? Number.POSITIVE_INFINITY : now + lookAgainAfter;
    this.#known.set(id, { names: names ?? {}, until });
    return names ?? {};
  }
}

/** Others (LXC, systemd-nspawn) have only a name, which is no part of a path. */
function isOfRuntime(id: string): boolean {
  return /^[0-9a-f]{64}$/.test(id);
}

/** The kubelet links "/var/log/containers/<pod>_<namespace>_<container>-<id>.log" to each container's log. */
export function parseLogName(file: string): (Names & { readonly id: string }) | undefined {
  const groups = /^(?<pod>[^_]+)_(?<namespace>[^_]+)_(?<name>.+)-(?<id>[0-9a-f]{64})\.log$/.exec(
    file,
  )?.groups;
  const { pod, namespace, name, id } = groups ?? {};
  if (pod === undefined || namespace === undefined || name === undefined || id === undefined)
    return undefined;
  return { id, name, pod, namespace };
}

function namesFromLogs(root: string, id: string): Names | undefined {
  const end = `-${id}.log`;
  try {
    const file = readdirSync(`${root}/var/log/containers`).find((name) => name.endsWith(end));
    const { name, pod, namespace } = (file && parseLogName(file)) || {};
    if (name === undefined || pod === undefined || namespace === undefined) return undefined;
    return { name, pod, namespace };
  } catch {
    return undefined; // No kubelet, or an unreadable directory: the bundle may have it.
  }
}

function namesFromBundle(root: string, id: string): Names | undefined {
  for (const bundle of bundles) {
    try {
      return parseBundle(readFileSync(`${root}${bundle(id)}`, "utf8"));
    } catch {
      continue; // Another runtime's, or none's.
    }
  }
  return undefined;
}

/** An OCI config.json -> names from its annotations. Throws when it is not JSON. */
export function parseBundle(text: string): Names {
  const config = JSON.parse(text) as { readonly annotations?: Record<string, unknown> } | null;
  const found = config?.annotations ?? {};
  const pick = (keys: readonly string[]) =>
    keys.map((key) => found[key]).find((value) => typeof value === "string");
  const name = pick(annotations.name);
  const pod = pick(annotations.pod);
  const namespace = pick(annotations.namespace);
  return {
    ...(name === undefined ? {} : { name }),
    ...(pod === undefined ? {} : { pod }),
    ...(namespace === undefined ? {} : { namespace }),
  };
}
