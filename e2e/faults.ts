import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, renameSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { attack } from "./attacks.ts";
import { collected, nodeIs } from "./collector.ts";
import { readyPod } from "./install.ts";
import * as lab from "./lab.ts";
import { isUp, noAgent, selectNodes } from "./lifecycle.ts";
import { pods, reported } from "./pods.ts";
import { until } from "./report.ts";

/* What fails on a node beside the agent, and what the agent runs out of. */

const state = "/var/lib/fim-agent";

/** A change while a part of the node restarts is reported by the same pod. */
export async function restartOf(program: "kubelet" | "containerd"): Promise<void> {
  const path = `/etc/kubernetes/pki/${program}-restarts.key`;
  const { uid } = pods.last();
  await lab.restart(program);
  writeFileSync(path, "key\n");
  await until("its alert at the collector", 60, () => collected(path).length > 0);
  rmSync(path);
  await until("the API server to answer", 180, isUp);
  const ready = await readyPod([]);
  if (ready.uid !== uid) throw new Error(`another pod: ${ready.name}`);
  await nodeIs("well", 120);
}

/** A static pod that the kubelet starts again is no change. */
export async function killed(component: string): Promise<void> {
  lab.killContainer(component);
  await until(`${component} to run again`, 180, () => {
    const name = `pod/${component}-cp-1`;
    return lab.tryKube("wait", "-n", "kube-system", "--for=condition=Ready", name, "--timeout=5s")
      .ok;
  });
}

/** The state directory has no space: nothing is lost, the trouble is reported, and it ends by itself. */
export async function stateIsFull(): Promise<void> {
  const path = "/etc/kubernetes/manifests/while-full.yaml";
  const ballast = `${state}/ballast`;
  selectNodes("nowhere");
  await noAgent();
  renameSync(state, `${state}.kept`);
  mkdirSync(state, { mode: 0o700 });
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", state]);
  try {
    cpSync(`${state}.kept`, state, { recursive: true, preserveTimestamps: true });
    selectNodes(null);
    await pods.next();
    await nodeIs("well", 120);
    const { bavail, bsize } = statfsSync(state);
    writeFileSync(ballast, Buffer.alloc(bavail * bsize));
    attack(`echo kind: Nothing > /host${path}`);
    await nodeIs("degraded", 120);
    rmSync(ballast);
    await reported(path, "created");
    await nodeIs("well", 180);
    attack(`rm /host${path}`);
    selectNodes("nowhere");
    await noAgent();
    rmSync(`${state}.kept`, { recursive: true });
    cpSync(state, `${state}.kept`, { recursive: true, preserveTimestamps: true });
  } finally {
    rmSync(ballast, { force: true });
    execFileSync("umount", [state]);
    rmSync(state, { recursive: true });
    renameSync(`${state}.kept`, state);
    selectNodes(null);
    await pods.next();
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
  await until("a pod that ran out of memory", 240, () => {
    const label = "app.kubernetes.io/name=fim-agent";
    const args = ["get", "pods", "-n", "fim-system", "-l", label, "-o", "json"];
    return lab.kube(...args).includes('"OOMKilled"');
  });
  attack(`echo kind: Nothing > /host${path}`);
  limitTo("512Mi");
  await pods.next();
  const [found] = await until("its alert", 60, () => {
    const all = collected(path);
    return all.length > 0 && all;
  });
  if (found?.offline !== true) throw new Error(JSON.stringify(found));
  attack(`rm /host${path}`);
  await nodeIs("well", 120);
}
