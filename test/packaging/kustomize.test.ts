import test from "ava";
import { execFileSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

const kustomize = join(import.meta.dirname, "../../deploy/kustomize");

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly resources?: { readonly requests?: object; readonly limits?: object };
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly runAsUser?: number;
    readonly runAsNonRoot?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  };
  readonly volumeMounts?: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
    readonly mountPropagation?: string;
  }[];
}

interface PodSpec {
  readonly hostPID?: boolean;
  readonly hostNetwork?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly enableServiceLinks?: boolean;
  readonly priorityClassName?: string;
  readonly securityContext?: { readonly seccompProfile?: { readonly type: string } };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string };
  }[];
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly automountServiceAccountToken?: boolean;
  readonly spec?: { readonly template?: { readonly spec: PodSpec } };
}

/**
 * In Kubernetes 1.20 and in 1.34. Source: https://kubernetes.io/docs/reference/using-api/deprecation-guide/ and
 * api/openapi-spec/swagger.json of each release.
 */
const served: Readonly<Record<string, readonly string[]>> = {
  v1: ["Namespace", "ServiceAccount", "ConfigMap", "Service", "PersistentVolumeClaim", "Secret"],
  "apps/v1": ["DaemonSet", "Deployment"],
  "networking.k8s.io/v1": ["NetworkPolicy"],
  "rbac.authorization.k8s.io/v1": ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"],
};
/** Where an overlay says that it needs a newer one (policy/v1 is of 1.21), or another distribution. */
const servedElsewhere: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  openshift: { "security.openshift.io/v1": ["SecurityContextConstraints"] },
  postgres: { "policy/v1": ["PodDisruptionBudget"] },
};

function manifestsIn(dir: string): readonly Manifest[] {
  return globSync("**/*.yaml", { cwd: dir })
    .filter((file) => !["kustomization.yaml", "config.yaml"].includes(basename(file)))
    .flatMap((file) => parseAllDocuments(readFileSync(join(dir, file), "utf8")))
    .map((document) => document.toJS() as Manifest);
}

function isServed({ apiVersion, kind }: Manifest, overlay = ""): boolean {
  const also = servedElsewhere[overlay]?.[apiVersion] ?? [];
  return [...(served[apiVersion] ?? []), ...also].includes(kind);
}

function podOf(manifests: readonly Manifest[], kind: string): PodSpec {
  const found = manifests.find((one) => one.kind === kind)?.spec?.template?.spec;
  if (!found) throw new Error(`no ${kind}`);
  return found;
}

const all = (pod: PodSpec): readonly Container[] => [
  ...(pod.initContainers ?? []),
  ...pod.containers,
];

test("the base uses only what Kubernetes 1.20 and 1.34 both serve", (t) => {
  const manifests = manifestsIn(join(kustomize, "base"));
  t.true(manifests.length >= 4);
  for (const one of manifests) t.true(isServed(one), `${one.apiVersion} ${one.kind}`);
});

test("the agent's pod has the rights that it needs and no others", (t) => {
  const pod = podOf(manifestsIn(join(kustomize, "base/agent")), "DaemonSet");
  t.like(pod, {
    hostPID: true,
    hostNetwork: undefined,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    priorityClassName: "system-node-critical",
    securityContext: { seccompProfile: { type: "RuntimeDefault" } },
  });
  t.deepEqual(
    all(pod).map(({ name }) => name),
    ["baseline", "fim-agent"],
  );
  const writable = new Set(["state"]);
  for (const { securityContext, volumeMounts = [], resources } of all(pod)) {
    t.deepEqual(securityContext, {
      runAsUser: 0,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: {
        drop: ["ALL"],
        add: ["SYS_ADMIN", "DAC_READ_SEARCH", "SYS_PTRACE", "FOWNER"],
      },
    });
    t.like(
      volumeMounts.find(({ mountPath }) => mountPath === "/host"),
      {
        readOnly: true,
        mountPropagation: "HostToContainer",
      },
    );
    for (const { name, readOnly } of volumeMounts)
      t.is(readOnly !== true, writable.has(name), name);
    t.deepEqual(Object.keys(resources?.limits ?? {}), ["memory"]);
  }
  const paths = pod.volumes?.flatMap(({ hostPath }) => (hostPath ? [hostPath.path] : []));
  t.deepEqual(paths, ["/", "/var/lib/fim-agent"]);
});

test("no service account of ours is given a token for the API server", (t) => {
  const accounts = manifestsIn(kustomize).filter(({ kind }) => kind === "ServiceAccount");
  t.true(accounts.length > 0);
  for (const one of accounts) t.false(one.automountServiceAccountToken, one.metadata.name);
});

needing(missingProgram("kubectl"))("agents and collector speak the same, HTTP or TLS", (t) => {
  const dir = join(kustomize, "overlays/kubeadm");
  const text = execFileSync("kubectl", ["kustomize", dir], { encoding: "utf8" });
  const manifests = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
  const [collector] = podOf(manifests, "Deployment").containers;
  const isPlain = text.includes("url: http://fim-collector.fim-system.svc:8686");
  t.is(collector?.args?.includes("--plain-http"), isPlain);
});

for (const overlay of globSync("overlays/*", { cwd: kustomize }).map((dir) => basename(dir)))
  needing(missingProgram("kubectl"))(`kubectl renders the overlay ${overlay}`, (t) => {
    const dir = join(kustomize, "overlays", overlay);
    const text = execFileSync("kubectl", ["kustomize", dir], { encoding: "utf8" });
    const manifests = parseAllDocuments(text).map((document) => document.toJS() as Manifest);
    for (const one of manifests) {
      t.true(isServed(one, overlay), `${one.apiVersion} ${one.kind}`);
      const isGlobal = /^(?:Namespace|Cluster|SecurityContext)/.test(one.kind);
      t.is(one.metadata.namespace, isGlobal ? undefined : "fim-system", one.metadata.name);
    }
    const maps = manifests.filter(({ kind }) => kind === "ConfigMap");
    t.true(maps.length > 0);
    for (const map of maps) {
      const { data } = map as Manifest & { readonly data: Readonly<Record<string, string>> };
      t.notThrows(() => parse(data["config.yaml"] ?? "{"), map.metadata.name);
    }
    t.true(all(podOf(manifests, "DaemonSet")).every(({ image }) => image === "fim-agent"));
  });
