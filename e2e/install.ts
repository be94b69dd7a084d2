import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { kube } from "./lab.ts";
import { until } from "./report.ts";

const overlays = join(import.meta.dirname, "../deploy/kustomize");

/** An overlay of one's own, as deploy/README.md shows it: another image's name and tag. */
export function writeOverlay(dir: string, base: string, tag: string): void {
  mkdirSync(dir, { recursive: true });
  const from = relative(dir, join(overlays, base));
  writeFileSync(
    join(dir, "kustomization.yaml"),
    `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [${from}]
images: [{ name: fim-agent, newName: localhost/fim-agent, newTag: ${tag} }]
`,
  );
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

/** The agent's only pod, once it is ready, and another one than before. */
export async function readyPod(before?: Pod): Promise<Pod> {
  return until("a ready agent pod", 180, () => {
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
    const [only, ...others] = items.filter(({ metadata }) => metadata.uid !== before?.uid);
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
