import { execFileSync } from "node:child_process";
import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { attack, startIntruder } from "./attacks.ts";
import { collected, nodeIs } from "./collector.ts";
import { awaitCollector, readyPod } from "./install.ts";
import * as lab from "./lab.ts";
import { isUp, noAgent, selectNodes } from "./lifecycle.ts";
import { alerts, pods, reported } from "./pods.ts";
import { until } from "./report.ts";

/* What fails on a node beside the agent, and what the agent runs out of. */

const state = "/var/lib/fim-agent";

/** A change while a part of the node restarts is reported by the same pod. */
export async function restartOf(program: "kubelet" | "containerd"): Promise<void> {
  const path = `/etc/kubernetes/pki/${program}-restarts.key`;
  const { uid } = pods.last();
  await lab.restart(program);
  writeFileSync(path, "key\n");
  await until("its alert at the collector", 300, () => collected(path).length > 0);
  rmSync(path);
  await until("the API server to answer", 300, isUp);
  const ready = await readyPod([]);
  if (ready.uid !== uid) throw new Error(`another pod: ${ready.name}`);
  await nodeIs("well", 300);
}

/** A container of a static pod that the kubelet starts again is no change. */
export async function killed(component: string): Promise<void> {
  const id = lab.killContainer(component);
  await until(`${component} to run again`, 300, () => lab.runsAgain(component, id));
  await until("the API server to answer", 300, isUp);
}

/** Power off, a change by another hand, power on: the same pod starts again and reports the change as offline. */
export async function rebooted(): Promise<void> {
  const path = "/etc/kubernetes/pki/while-off.key";
  const { uid } = pods.last();
  await lab.reboot(() => {
    writeFileSync(path, "key\n");
  });
  await until("the API server to answer", 300, isUp);
  // The collector's pod gets another address.
  const [found] = await until("its alert at the collector", 300, () => {
    awaitCollector();
    const all = collected(path);
    return all.length > 0 && all;
  });
  if (found?.offline !== true) throw new Error(JSON.stringify(found));
  rmSync(path);
  const ready = await readyPod([]);
  if (ready.uid !== uid) throw new Error(`another pod: ${ready.name}`);
  await nodeIs("well", 300);
  startIntruder();
}

/** Drained: everything is evicted, the collector too, and the agent stays. It delivers when the collector is back. */
export async function drained(): Promise<void> {
  const path = "/etc/kubernetes/manifests/while-drained.yaml";
  const { uid } = pods.last();
  const words = ["--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=300s"];
  lab.kube("drain", "cp-1", ...words);
  try {
    writeFileSync(path, "kind: Nothing\n");
    await until(`an alert of ${path}`, 120, () => alerts().some((one) => one.path === path));
  } finally {
    rmSync(path, { force: true });
    lab.kube("uncordon", "cp-1");
  }
  await until("its alert at the collector", 300, () => {
    awaitCollector();
    return collected(path).length > 0;
  });
  const ready = await readyPod([]);
  if (ready.uid !== uid) throw new Error(`another pod: ${ready.name}`);
  await nodeIs("well", 300);
  startIntruder();
}

/** Writes until the filesystem has no space left. */
function fill(file: string): void {
  const descriptor = openSync(file, "w");
  try {
    for (;;) writeSync(descriptor, Buffer.alloc(4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(descriptor);
  }
}

/** Exchanges the state directory while no agent runs. */
async function exchangeState(exchange: () => void): Promise<void> {
  selectNodes("nowhere");
  await noAgent();
  exchange();
  selectNodes(null);
  await pods.next();
}

function copyState(from: string, to: string): void {
  cpSync(from, to, { recursive: true, preserveTimestamps: true });
}

/** The state directory has no space: the trouble is reported, nothing is lost, the culprit is known, it ends by itself. */
export async function stateIsFull(): Promise<void> {
  const path = "/etc/kubernetes/manifests/while-full.yaml";
  const kept = `${state}.kept`;
  await exchangeState(() => {
    renameSync(state, kept);
    mkdirSync(state, { mode: 0o700 });
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", state]);
    copyState(kept, state);
  });
  try {
    await nodeIs("well", 300);
    fill(`${state}/ballast`);
    attack(`echo kind: Nothing > /host${path}`);
    await nodeIs("degraded", 300);
    // Longer than the kubelet's patience with /healthz.
    await pause(90_000);
    rmSync(`${state}/ballast`);
    await reported(path, "created");
    await nodeIs("well", 300);
    attack(`rm /host${path}`);
    const ready = await readyPod([]);
    if (ready.uid !== pods.last().uid) throw new Error(`another pod: ${ready.name}`);
  } finally {
    rmSync(`${state}/ballast`, { force: true });
    await exchangeState(() => {
      rmSync(kept, { recursive: true });
      copyState(state, kept);
      execFileSync("umount", [state]);
      rmSync(state, { recursive: true });
      renameSync(kept, state);
    });
  }
}

function limitTo(memory: string): void {
  const resources = { limits: { memory }, requests: { memory } };
  const containers = [{ name: "fim-agent", resources }];
  const patch = JSON.stringify({ spec: { template: { spec: { containers } } } });
  lab.kube("patch", "-n", "fim-system", "daemonset/fim-agent", "-p", patch);
}

/** The memory limit is too small: the kernel ends the agent. With room again, what changed meanwhile is offline. */
export async function outOfMemory(): Promise<void> {
  const path = "/etc/kubernetes/manifests/while-small.yaml";
  limitTo("24Mi");
  await until("a pod that ran out of memory", 300, () => {
    const label = "app.kubernetes.io/name=fim-agent";
    const args = ["get", "pods", "-n", "fim-system", "-l", label, "-o", "json"];
    return lab.kube(...args).includes('"OOMKilled"');
  });
  attack(`echo kind: Nothing > /host${path}`);
  limitTo("512Mi");
  await pods.next();
  const [found] = await until("its alert", 120, () => {
    const all = collected(path);
    return all.length > 0 && all;
  });
  if (found?.offline !== true) throw new Error(JSON.stringify(found));
  attack(`rm /host${path}`);
  await nodeIs("well", 300);
}
