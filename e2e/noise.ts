import { execFileSync, spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { alarming } from "./collector.ts";
import { killed } from "./faults.ts";
import * as lab from "./lab.ts";
import { isUp } from "./lifecycle.ts";
import { print, until } from "./report.ts";

/* Normal life of a cluster, which must raise nothing above info. */

const shell = "docker.io/library/debian:bookworm-slim";
const backups = "/var/backups/fim-e2e";

function run(program: string, ...args: readonly string[]): string {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return execFileSync(program, args, { encoding: "utf8", env, stdio: ["ignore", "pipe", "pipe"] });
}

/** etcdctl in the network of the lab, with the certificate that kubeadm made for health checks. */
function etcdctl(...args: readonly string[]): void {
  const pki = "/etc/kubernetes/pki/etcd";
  const keys = [`--cacert=${pki}/ca.crt`, `--cert=${pki}/healthcheck-client.crt`];
  const key = `--key=${pki}/healthcheck-client.key`;
  // Its own 5 seconds are too few for defragmentation while other work uses the disk.
  const words = ["env", "ETCDCTL_API=3", "etcdctl", "--command-timeout=120s", ...keys, key];
  run("nsenter", "--net=/run/netns/kube-lab", ...words, ...args);
}

function revision(): string {
  const { metadata } = JSON.parse(lab.kube("get", "--raw", "/api/v1/nodes")) as {
    readonly metadata: { readonly resourceVersion: string };
  };
  return metadata.resourceVersion;
}

/** A pod that ends by itself, as a CronJob makes it. */
async function shortPod(name: string): Promise<void> {
  const image = [`--image=${shell}`, "--image-pull-policy=Never", "--restart=Never"];
  lab.kube("run", name, ...image, "--", "true");
  const phase = ["get", "pod", name, "-o", "jsonpath={.status.phase}"];
  await until(`${name} to end`, 300, () => /Succeeded|Failed/.test(lab.kube(...phase)));
  lab.kube("delete", "pod", name);
}

/** The versions of an installed package that the archive has, newest first. */
function versionsOf(name: string): readonly string[] {
  const rows = run("apt-cache", "madison", name).trim().split("\n");
  return [...new Set(rows.map((row) => (row.split("|")[1] ?? "").trim()))].filter(Boolean);
}

/** Back to the older version and to the newer one: a program, a library and the linker's cache. */
function upgradePackages(): void {
  const install = ["install", "-y", "-q", "--no-install-recommends", "--allow-downgrades"];
  const [newest, older] = versionsOf("jq");
  for (const version of [older, newest].filter((one) => one !== undefined))
    run("apt-get", ...install, `jq=${version}`, `libjq1=${version}`);
  run("apt-get", "install", "-y", "-q", "--reinstall", "ethtool", "logrotate");
}

let logger: ChildProcess | undefined;

/** A system log as on every node, before the baseline. Where rsyslog is installed. */
export function startLogging(): void {
  if (existsSync("/usr/sbin/rsyslogd") && !existsSync("/run/rsyslogd.pid"))
    logger = spawn("/usr/sbin/rsyslogd", ["-n"], { stdio: "ignore" });
}

/** Ends it, and removes what it wrote. */
export function stopLogging(): void {
  if (!logger?.kill()) return;
  for (const name of ["syslog", "auth.log", "kern.log", "mail.log", "user.log", "cron.log"])
    for (const end of ["", ".1", ".2.gz", ".3.gz", ".4.gz"])
      rmSync(`/var/log/${name}${end}`, { force: true });
}

function rotateLogs(): void {
  run("logger", "-p", "auth.info", "fim-e2e");
  // It ends with 1 where one log of many cannot be rotated.
  spawnSync("/usr/sbin/logrotate", ["-f", "/etc/logrotate.conf"], { stdio: "ignore" });
  logger?.kill("SIGHUP");
  run("logger", "-p", "auth.info", "fim-e2e");
}

interface Event {
  readonly title: string;
  readonly play: (round: number) => void | Promise<void>;
  /** Rounds from one time to the next; 1 when absent. */
  readonly every?: number;
}

const events: readonly Event[] = [
  { title: "pods come and go", play: async (round) => await shortPod(`life-${round}`) },
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
      mkdirSync(backups, { recursive: true, mode: 0o700 });
      rmSync(`${backups}/snapshot.db`, { force: true });
      etcdctl("snapshot", "save", `${backups}/snapshot.db`);
      etcdctl("compact", revision());
      etcdctl("defrag");
    },
  },
  { title: "logs are rotated", play: rotateLogs, every: 5 },
  { title: "packages are upgraded", play: upgradePackages, every: 8 },
  {
    title: "static pods restart",
    play: async () => {
      await killed("kube-scheduler");
      await killed("kube-controller-manager");
      await killed("etcd");
      await killed("kube-apiserver");
    },
    every: 8,
  },
  {
    title: "the kubelet restarts",
    play: async () => {
      await lab.restart("kubelet");
      await until("the API server to answer", 300, isUp);
    },
    every: 8,
  },
];

/** Plays it for some minutes. Throws with the list of what was raised above info. */
export async function normalLife(minutes: number): Promise<void> {
  // The kubelet shows static pods to a new API server after a while.
  const shown = ["etcd-cp-1", "kube-scheduler-cp-1"];
  await until(
    "the static pods in the API",
    300,
    () => lab.tryKube("get", "pod", "-n", "kube-system", ...shown).ok,
  );
  const before = new Set(alarming().map(({ uid }) => uid));
  // The only node is a control plane's, where a plain pod would wait for ever.
  lab.tryKube("taint", "nodes", "--all", "node-role.kubernetes.io/master-");
  const end = Date.now() + minutes * 60_000;
  const played = new Map<string, number>();
  for (let round = 0; round === 0 || Date.now() < end; round += 1) {
    for (const { title, play, every = 1 } of events) {
      if (round % every !== 0) continue;
      await play(round);
      played.set(title, (played.get(title) ?? 0) + 1);
    }
    await pause(2000);
  }
  rmSync(backups, { recursive: true, force: true });
  // What the last events caused has arrived then.
  await pause(15_000);
  for (const [title, times] of played) print(`        ${times} times: ${title}`);
  const raised = alarming().filter(({ uid }) => !before.has(uid));
  if (raised.length > 0)
    throw new Error(raised.map(({ severity, message }) => `${severity} ${message}`).join("\n"));
}
