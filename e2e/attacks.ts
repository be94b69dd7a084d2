import { apply, kube, runInContainer, runInContainerLater } from "./lab.ts";

export const intruder = { pod: "intruder", namespace: "default", name: "shell" } as const;

/** A pod as an intruder with API rights makes it: the node's root at /host, writable. */
export function startIntruder(): void {
  apply(`
apiVersion: v1
kind: Pod
metadata: { name: ${intruder.pod}, namespace: ${intruder.namespace} }
spec:
  automountServiceAccountToken: false
  tolerations: [{ operator: Exists }]
  terminationGracePeriodSeconds: 0
  containers:
    - name: ${intruder.name}
      image: docker.io/library/debian:bookworm-slim
      imagePullPolicy: Never
      command: [sleep, infinity]
      volumeMounts: [{ name: host, mountPath: /host }]
  volumes: [{ name: host, hostPath: { path: / } }]
`);
  kube("wait", "--for=condition=Ready", `pod/${intruder.pod}`, "--timeout=300s");
}

/** Runs a shell script in the intruder's container, through the API server or beside it. */
export function attack(script: string, way: "kubectl" | "runtime" = "kubectl"): void {
  if (way === "runtime") runInContainer(intruder.name, ["sh", "-ec", script]);
  else kube("exec", "-n", intruder.namespace, intruder.pod, "--", "sh", "-ec", script);
}

/** Creates 1.yaml, 2.yaml and so on in a directory of the node until the file appears. Returns how many. */
export async function attackUntilStopped(dir: string, file: string): Promise<number> {
  const script = `i=0; while [ ! -e /host${file} ]; do i=$((i + 1)); echo $i > /host${dir}/$i.yaml; sleep 0.1; done; echo $i`;
  return Number(await runInContainerLater(intruder.name, ["sh", "-ec", script]));
}

export interface Attack {
  readonly title: string;
  /** The node's path that must be reported. */
  readonly path: string;
  readonly change: string;
  readonly script: string;
  readonly undo: string;
}

const manifest = "/etc/kubernetes/manifests/backup.yaml";
const network = "/etc/cni/net.d/00-first.conflist";
const etcd = "/var/lib/etcd/member/snap/copy.db";
const key = "/root/.ssh/authorized_keys";
/** Where an attack keeps what it replaces. Not watched. */
const kept = "/host/var/tmp/fim-e2e-key";

export const attacks: readonly Attack[] = [
  {
    title: "a static pod's manifest",
    path: manifest,
    change: "created",
    script: `printf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: backup}\\nspec: {containers: [{name: a, image: k8s.gcr.io/pause:3.2}]}\\n' > /host${manifest}`,
    undo: `rm /host${manifest}`,
  },
  {
    title: "a CNI configuration that sorts first",
    path: network,
    change: "created",
    script: `cp /host/etc/cni/net.d/10-lab.conflist /host${network}`,
    undo: `rm /host${network}`,
  },
  {
    title: "the administrator's kubeconfig made readable",
    path: "/etc/kubernetes/admin.conf",
    change: "modified",
    script: "chmod 0644 /host/etc/kubernetes/admin.conf",
    undo: "chmod 0600 /host/etc/kubernetes/admin.conf",
  },
  {
    title: "a file written into etcd's directory",
    path: etcd,
    change: "created",
    script: `head -c 4096 /dev/urandom > /host${etcd}`,
    undo: `rm /host${etcd}`,
  },
  {
    title: "a key for root's SSH",
    path: key,
    change: "modified",
    script: `cp -a /host${key} ${kept}; echo 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvil intruder' >> /host${key}`,
    undo: `cat ${kept} > /host${key}; rm ${kept}`,
  },
];
