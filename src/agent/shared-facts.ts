import { createHash } from "node:crypto";
import { manifestFacts } from "../core/record/manifest-facts.ts";
import type { Facts } from "../core/record/outlier.ts";
import { readNodeText } from "../node/host.ts";

const authorities = ["ca", "front-proxy-ca", "etcd/ca"].flatMap((name) => [
  `/etc/kubernetes/pki/${name}.crt`,
  `/etc/kubernetes/pki/${name}.key`,
]);
const programs = ["kubelet", "kubeadm", "kubectl"].flatMap((name) => [
  `/usr/bin/${name}`,
  `/usr/local/bin/${name}`,
]);
/** Equal on all control-plane nodes of a cluster that kubeadm made (kubeadm join copies them). */
const shared: readonly string[] = [
  ...authorities,
  "/etc/kubernetes/pki/sa.key",
  "/etc/kubernetes/pki/sa.pub",
  ...programs,
];

const components = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"];

/** The part of the current state that is read here. */
interface Digests {
  get(path: string): { readonly sha256?: string } | undefined;
}

/**
 * What the nodes of a cluster compare, by name: digests of files, flags and images of static pods. A manifest is read
 * again when its digest is another.
 */
export function sharedFactsOf(root: string): (current: Digests) => Facts {
  const manifests = new Map<string, { readonly sha256: string; readonly facts: Facts }>();
  const ofManifest = (component: string, current: Digests): Facts => {
    const path = `/etc/kubernetes/manifests/${component}.yaml`;
    const sha256 = current.get(path)?.sha256;
    if (sha256 === undefined) return {};
    const known = manifests.get(component);
    if (known?.sha256 === sha256) return known.facts;
    const text = readNodeText(root, path) ?? "";
    const facts = manifestFacts(component, text);
    // Otherwise it was changed again, and is read at the next heartbeat.
    if (createHash("sha256").update(text).digest("hex") === sha256)
      manifests.set(component, { sha256, facts });
    return facts;
  };
  return (current) =>
    Object.assign(
      {},
      filesOf(current),
      ...components.map((component) => ofManifest(component, current)),
    ) as Facts;
}

function filesOf(current: Digests): Facts {
  const known = shared.flatMap((path) => {
    const digest = current.get(path)?.sha256;
    return digest === undefined ? [] : [[path, digest] as const];
  });
  return Object.fromEntries(known);
}
