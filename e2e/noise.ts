import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { alarming } from "./collector.ts";
import { killed } from "./faults.ts";
import * as lab from "./lab.ts";
import { isUp } from "./lifecycle.ts";
import { print, until } from "./report.ts";

/* Normal life of a cluster, which must raise nothing above info. */

const shell = "docker.io/library/debian:bookworm-slim";

function run(program: string, ...args: readonly string[]): void {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  execFileSync(program, args, { stdio: "ignore", env });
}

/** etcdctl in the network of the lab, with the certificate that kubeadm made for health checks. */
function etcdctl(...args: readonly string[]): void {
  const pki = "/etc/kubernetes/pki/etcd";
  const keys = [`--cacert=${pki}/ca.crt`, `--cert=${pki}/healthcheck-client.crt`];
  const key = `--key=${pki}/healthcheck-client.key`;
  run(
    "nsenter",
    "--net=/run/netns/kube-lab",
    "env",
    "ETCDCTL_API=3",
    "etcdctl",
    ...keys,
    key,
    ...args,
  );
}

function revision(): string {
  const { metadata } = JSON.parse(lab.kube("get", "--raw", "/api/v1/nodes")) as {
    readonly metadata: { readonly resourceVersion: string };
  };
  return metadata.resourceVersion;
}

interface Event {
  readonly title: string;
  readonly play: (round: number) => void | Promise<void>;
  /** Rounds between two of it; it costs time. */
  readonly every?: number;
}

const events: readonly Event[] = [
  {
    title: "pods come and go",
    play: (round) => {
      lab.kube(
        "run",
        `life-${round}`,
        `--image=${shell}`,
        "--image-pull-policy=Never",
        "--restart=Never",
        "--",
        "true",
      );
      const done = "jsonpath={.status.phase}";
      for (let asked = 0; asked < 60; asked += 1)
        if (/Succeeded|Failed/.test(lab.kube("get", "pod", `life-${round}`, "-o", done))) break;
      lab.kube("delete", "pod", `life-${round}`);
    },
  },
  {
    title: "a job, a secret, a config map",
    play: (round) => {
      lab.kube("create", "job", `life-${round}`, `--image=${shell}`, "--", "true");
      lab.kube("create", "secret", "generic", `life-${round}`, "--from-literal=a=b");
      lab.kube("create", "configmap", `life-${round}`, "--from-literal=a=b");
      for (const kind of ["job", "secret", "configmap"]) lab.kube("delete", kind, `life-${round}`);
    },
  },
  {
    title: "kubectl exec and logs",
    play: () => {
      lab.kube("exec", "-n", "kube-system", "etcd-cp-1", "--", "etcdctl", "version");
      lab.kube("logs", "-n", "kube-system", "kube-scheduler-cp-1", "--tail=1");
    },
  },
  {
    title: "cordon and uncordon",
    play: () => {
      lab.kube("cordon", "cp-1");
      lab.kube("uncordon", "cp-1");
    },
  },
  {
    title: "etcd: a snapshot, compaction, defragmentation",
    play: () => {
      const file = "/var/tmp/fim-e2e/snapshot.db";
      rmSync(file, { force: true });
      etcdctl("snapshot", "save", file);
      etcdctl("compact", revision());
      etcdctl("defrag");
    },
  },
  {
    title: "logs are rotated",
    play: () => {
      if (existsSync("/usr/sbin/logrotate"))
        run("/usr/sbin/logrotate", "-f", "/etc/logrotate.conf");
    },
    every: 5,
  },
  {
    title: "a package is installed again",
    play: () => {
      run("apt-get", "install", "-y", "--reinstall", "ethtool");
    },
    every: 5,
  },
  {
    title: "static pods restart",
    play: async () => {
      await killed("kube-scheduler");
      await killed("kube-controller-manager");
    },
    every: 5,
  },
  {
    title: "the kubelet restarts",
    play: async () => {
      await lab.restart("kubelet");
      await until("the API server to answer", 180, isUp);
    },
    every: 5,
  },
];

/** Plays it for some minutes. Throws with the list of what was raised above info. */
export async function normalLife(minutes: number): Promise<void> {
  const before = new Set(alarming().map(({ uid }) => uid));
  const end = Date.now() + minutes * 60_000;
  let round = 0;
  do {
    for (const { title, play, every = 1 } of events) {
      if (round % every !== 0) continue;
      try {
        await play(round);
      } catch (error) {
        print(`        ${title}: ${String(error).split("\n", 1)[0]}`);
      }
    }
    round += 1;
    await pause(2000);
  } while (Date.now() < end);
  const raised = alarming().filter(({ uid }) => !before.has(uid));
  print(
    `        ${round} rounds of ${events.length} kinds of events, ${raised.length} alerts above info`,
  );
  if (raised.length > 0)
    throw new Error(raised.map(({ severity, message }) => `${severity} ${message}`).join("\n"));
}
