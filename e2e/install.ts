import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { apply, kube, routeServices } from "./lab.ts";
import { until } from "./report.ts";

const overlays = join(import.meta.dirname, "../deploy/kustomize/overlays");

/** Images, overlays, the collector's volume. Not watched. */
export const work = "/var/tmp/fim-e2e";

/** The collector's Service in the lab, which has neither kube-proxy nor DNS. */
export const service = { ip: "10.96.100.86", port: 8686 } as const;

/**
 * An overlay of one's own, as deploy/README.md shows it: another image's name and tag. What the lab lacks comes as
 * patches: a fixed address for the Service, and its name in the agent's hosts file.
 */
export function writeOverlay(dir: string, tag: string): void {
  mkdirSync(dir, { recursive: true });
  const overlay = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: [relative(dir, join(overlays, "kubeadm"))],
    images: [{ name: "fim-agent", newName: "localhost/fim-agent", newTag: tag }],
    patches: [
      {
        target: { kind: "Service", name: "fim-collector" },
        patch: JSON.stringify([{ op: "add", path: "/spec/clusterIP", value: service.ip }]),
      },
      {
        target: { kind: "DaemonSet", name: "fim-agent" },
        patch: JSON.stringify([
          {
            op: "add",
            path: "/spec/template/spec/hostAliases",
            value: [{ ip: service.ip, hostnames: ["fim-collector.fim-system.svc"] }],
          },
        ]),
      },
    ],
  };
  writeFileSync(join(dir, "kustomization.yaml"), JSON.stringify(overlay, undefined, 2));
}

/** A volume for the collector: the lab has no provisioner. */
export function makeVolume(path: string): void {
  mkdirSync(path, { recursive: true });
  chownSync(path, 65_532, 65_532);
  apply(`
apiVersion: v1
kind: PersistentVolume
metadata: { name: fim-collector }
spec:
  capacity: { storage: 10Gi }
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  claimRef: { namespace: fim-system, name: fim-collector }
  hostPath: { path: ${path} }
`);
}

/** Waits for the collector and leads Services' addresses to it and to the API server, as kube-proxy would. */
export function awaitCollector(): void {
  const scope = ["-n", "fim-system"];
  kube("rollout", "status", ...scope, "deployment/fim-collector", "--timeout=300s");
  const field = "jsonpath={.subsets[0].addresses[0].ip}";
  const ip = kube("get", "endpoints", ...scope, "fim-collector", "-o", field);
  if (ip === "") throw new Error("the collector's Service has no endpoint");
  routeServices([
    { from: [service.ip, service.port], to: [ip, service.port] },
    { from: ["10.96.0.1", 443], to: ["10.99.0.2", 6443] },
  ]);
}

export interface Pod {
  readonly name: string;
  readonly uid: string;
}

interface PodList {
  readonly items: readonly {
    readonly metadata: {
      readonly name: string;
      readonly uid: string;
      readonly deletionTimestamp?: string;
    };
    readonly status: {
      readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    };
  }[];
}

/** The agent's only pod, once it is ready, and another one than those before. */
export async function readyPod(before: readonly Pod[]): Promise<Pod> {
  return until("a ready agent pod", 300, () => {
    const text = kube(
      "get",
      "pods",
      "-n",
      "fim-system",
      "-l",
      "app.kubernetes.io/name=fim-agent",
      "-o",
      "json",
    );
    const { items } = JSON.parse(text) as PodList;
    const [only, ...others] = items.filter(
      ({ metadata }) => !before.some(({ uid }) => uid === metadata.uid),
    );
    if (!only || others.length > 0 || only.metadata.deletionTimestamp !== undefined)
      return undefined;
    const isReady = only.status.conditions?.some(
      ({ type, status }) => type === "Ready" && status === "True",
    );
    return isReady === true && { name: only.metadata.name, uid: only.metadata.uid };
  });
}

/** Runs the agent's command in its pod, as docs/install.md shows it. Returns what it printed. */
export function inAgent(pod: Pod, ...command: readonly string[]): string {
  return kube(
    "exec",
    "-n",
    "fim-system",
    pod.name,
    "-c",
    "fim-agent",
    "--",
    "fim-agent",
    ...command,
  );
}
