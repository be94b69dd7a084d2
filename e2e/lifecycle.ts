import { execFileSync } from "node:child_process";
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { alertsIn } from "./agent-log.ts";
import { attack, attackUntilStopped } from "./attacks.ts";
import { countCreated, nodeIs } from "./collector.ts";
import { awaitCollector, inAgent, work } from "./install.ts";
import * as lab from "./lab.ts";
import { alerts, pods, reported } from "./pods.ts";
import { print, until } from "./report.ts";

/* What happens to an agent in the life of a cluster. */

const checkout = join(import.meta.dirname, "..");
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
    await until("the API server to stop", 120, () => !isUp());
    attack(`echo key > /host${path}`, "runtime");
    await reported(path, "created");
    if (isUp()) throw new Error("the API server was up");
    attack(`rm /host${path}`, "runtime");
  } finally {
    renameSync(parked, apiServer);
    await until("the API server to start", 300, isUp);
  }
  await until("kubectl logs with the alert", 120, () => {
    const args = ["logs", "-n", "fim-system", pods.last().name, "-c", "fim-agent"];
    return lab.tryKube(...args).text.includes(path);
  });
}

function deletePod(...more: readonly string[]): void {
  const words = [pods.last().name, "--force", "--grace-period=0", ...more];
  lab.kube("delete", "pod", "-n", "fim-system", ...words);
}

export async function deleteByForce(): Promise<void> {
  deletePod();
  const pod = await pods.next();
  const log = lab.kube("logs", "-n", "fim-system", pod.name, "-c", "baseline");
  if (!log.startsWith("baseline: kept")) throw new Error(log);
}

/** Restricts the DaemonSet to nodes with a label, or lifts that. Twice is as once: a merge patch, not a strategic one. */
export function selectNodes(label: string | null): void {
  const nodeSelector = { "fim-e2e": label };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  lab.kube("patch", "-n", "fim-system", "daemonset/fim-agent", "--type=merge", "-p", patch);
}

/** Awaits that no pod of the agent is left. */
export async function noAgent(): Promise<void> {
  await until("the agent's pod to go", 300, () => {
    const label = "app.kubernetes.io/name=fim-agent";
    return lab.kube("get", "pods", "-n", "fim-system", "-l", label, "-o", "name").trim() === "";
  });
}

/** Deleted by force and kept away: the collector raises silence. What changed meanwhile is reported as offline. */
export async function whileGone(): Promise<void> {
  const path = "/etc/kubernetes/manifests/offline.yaml";
  selectNodes("nowhere");
  deletePod("--ignore-not-found");
  await noAgent();
  attack(`echo kind: Nothing > /host${path}`);
  await nodeIs("silent", 300);
  selectNodes(null);
  await pods.next();
  const found = await until("its alert", 120, () => alerts().find((one) => one.path === path));
  if (found.offline !== true) throw new Error(JSON.stringify(found));
  attack(`rm /host${path}`);
  await nodeIs("well", 300);
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
  const counted = await until(`${made} files at the collector`, 300, () => {
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

/** The commands of a section of docs/install.md. */
function commandsOf(section: string): string {
  const page = readFileSync(join(checkout, "docs/install.md"), "utf8");
  const [, rest = ""] = page.split(`\n## ${section}\n`);
  const commands = /^```sh\n([^]*?)^```$/m.exec(rest)?.[1];
  if (commands === undefined) throw new Error(`docs/install.md: no commands for ${section}`);
  return commands;
}

function isReady(): boolean {
  return lab.answers("http://127.0.0.1:9464/readyz");
}

/** By the commands of docs/install.md, and after a reboot with the API server down: the kubelet alone starts the agent. */
export async function staticPod(): Promise<void> {
  const manifest = "deploy/static-pod/fim-agent.yaml";
  const path = "/etc/kubernetes/pki/while-off.crt";
  const copy = join(work, "checkout");
  cpSync(join(checkout, "deploy"), join(copy, "deploy"), { recursive: true });
  const text = readFileSync(join(copy, manifest), "utf8");
  const image = "image: localhost/fim-agent:e2e";
  writeFileSync(join(copy, manifest), text.replaceAll("image: fim-agent", image));
  renameSync(apiServer, join(work, "kube-apiserver.yaml"));
  await until("the API server to stop", 300, () => !isUp());
  try {
    execFileSync("sh", ["-ec", commandsOf("Static pod")], { cwd: copy });
    await until("a ready agent", 300, isReady);
    await lab.reboot(() => {
      if (lab.answers("http://127.0.0.1:9464/healthz")) throw new Error("the agent runs");
      writeFileSync(path, "certificate\n");
    });
    await until("a ready agent after the reboot", 300, isReady);
    const seen = alertsIn(["kube-system_fim-agent-cp-1_*"]).find((one) => one.path === path);
    if (seen?.offline !== true) throw new Error(JSON.stringify(seen));
    if (isUp()) throw new Error("the API server was up");
  } finally {
    rmSync("/etc/kubernetes/manifests/fim-agent.yaml", { force: true });
    rmSync(path, { force: true });
    // A kubelet that never saw the API server since its start ends no pod.
    renameSync(join(work, "kube-apiserver.yaml"), apiServer);
    await until("the agent to stop", 300, () => !lab.answers("http://127.0.0.1:9464/healthz"));
    rmSync("/etc/fim-agent", { recursive: true, force: true });
  }
}
