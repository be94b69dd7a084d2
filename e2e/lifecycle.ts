import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { attack, attackUntilStopped } from "./attacks.ts";
import { countCreated, nodeIs } from "./collector.ts";
import { awaitCollector, inAgent, work } from "./install.ts";
import * as lab from "./lab.ts";
import { alerts, pods, reported } from "./pods.ts";
import { print, until } from "./report.ts";

/* What happens to an agent in the life of a cluster. */

const apiServer = "/etc/kubernetes/manifests/kube-apiserver.yaml";

export function isUp(): boolean {
  return lab.tryKube("get", "--raw", "/healthz").ok;
}

/** An attack while the API server is down: in the agent's log at once, in `kubectl logs` afterwards. */
export async function withoutApiServer(): Promise<void> {
  const path = "/etc/kubernetes/pki/stolen.key";
  const parked = join(work, "kube-apiserver.yaml");
  renameSync(apiServer, parked);
  try {
    await until("the API server to stop", 60, () => !isUp());
    attack(`echo key > /host${path}`, "runtime");
    await reported(path, "created");
    if (isUp()) throw new Error("the API server was up");
    attack(`rm /host${path}`, "runtime");
  } finally {
    renameSync(parked, apiServer);
    await until("the API server to start", 300, isUp);
  }
  await until("kubectl logs with the alert", 60, () => {
    const args = ["logs", "-n", "fim-system", pods.last().name, "-c", "fim-agent"];
    return lab.tryKube(...args).text.includes(path);
  });
}

export async function deleteByForce(): Promise<void> {
  const before = pods.last();
  lab.kube("delete", "pod", "-n", "fim-system", before.name, "--force", "--grace-period=0");
  const pod = await pods.next();
  const log = lab.kube("logs", "-n", "fim-system", pod.name, "-c", "baseline");
  if (!log.startsWith("baseline: kept")) throw new Error(log);
}

/** Restricts the DaemonSet to nodes with a label, or lifts that. */
export function selectNodes(label: string | null): void {
  const nodeSelector = { "fim-e2e": label };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  lab.kube("patch", "-n", "fim-system", "daemonset/fim-agent", "-p", patch);
}

/** Awaits that no pod of the agent is left. */
export async function noAgent(): Promise<void> {
  await until("the agent's pod to go", 240, () => {
    const label = "app.kubernetes.io/name=fim-agent";
    return lab.kube("get", "pods", "-n", "fim-system", "-l", label, "-o", "name").trim() === "";
  });
}

/** No agent runs: the collector raises silence. What changed meanwhile is reported as offline. */
export async function whileGone(): Promise<void> {
  const path = "/etc/kubernetes/manifests/offline.yaml";
  selectNodes("nowhere");
  await noAgent();
  attack(`echo kind: Nothing > /host${path}`);
  await nodeIs("silent", 180);
  selectNodes(null);
  await pods.next();
  const found = await until("its alert", 30, () => alerts().find((one) => one.path === path));
  if (found.offline !== true) throw new Error(JSON.stringify(found));
  attack(`rm /host${path}`);
  await nodeIs("well", 120);
}

/** Files appear all the time while another image takes over: the collector has each once. */
export async function upgradeInStorm(): Promise<void> {
  const dir = "/etc/kubernetes/storm";
  const stop = join(work, "stop");
  attack(`mkdir /host${dir}`);
  const storm = attackUntilStopped(dir, stop);
  try {
    lab.kube("apply", "-k", join(work, "e2e-next"));
    await pods.next();
  } finally {
    writeFileSync(stop, "");
  }
  const made = await storm;
  rmSync(stop);
  // The kubelet deletes the log of the old pod with it: only the collector has the alerts of both.
  awaitCollector();
  let paths = 0;
  const counted = await until(`${made} files at the collector`, 120, () => {
    const found = countCreated(dir);
    ({ paths } = found);
    return found.paths >= made && found;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${paths} are there`);
  });
  print(`        ${made} files, ${counted.offline} reported as offline`);
  if (counted.paths !== made || counted.twice > 0)
    throw new Error(`the collector has ${counted.paths}, ${counted.twice} twice`);
}

/** After a planned change, with kubectl. */
export function accept(): void {
  const path = "/etc/kubernetes/storm/1.yaml";
  inAgent(pods.last(), "accept", path, "--reason", "e2e");
  const args = ["exec", "-n", "fim-system", pods.last().name, "-c", "fim-agent", "--"];
  const { ok, text } = lab.tryKube(...args, "fim-agent", "check", path);
  if (!ok) throw new Error(text);
  attack("rm -r /host/etc/kubernetes/storm");
}

/** As after a reboot with the API server down: the kubelet alone starts the agent. */
export async function staticPod(): Promise<void> {
  const manifest = "/etc/kubernetes/manifests/fim-agent.yaml";
  const source = readFileSync(
    join(import.meta.dirname, "../deploy/static-pod/fim-agent.yaml"),
    "utf8",
  );
  renameSync(apiServer, join(work, "kube-apiserver.yaml"));
  await until("the API server to stop", 60, () => !isUp());
  writeFileSync(manifest, source.replaceAll("image: fim-agent", "image: localhost/fim-agent:e2e"));
  try {
    await until("a ready agent", 120, () => lab.answers("http://127.0.0.1:9464/readyz"));
    if (isUp()) throw new Error("the API server was up");
  } finally {
    rmSync(manifest);
    await until("the agent to stop", 60, () => !lab.answers("http://127.0.0.1:9464/healthz"));
  }
}
