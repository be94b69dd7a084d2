import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { alertsOf } from "./agent-log.ts";
import type { Seen } from "./agent-log.ts";
import { attack, attacks, intruder, startIntruder } from "./attacks.ts";
import { inAgent, readyPod, writeOverlay } from "./install.ts";
import type { Pod } from "./install.ts";
import * as lab from "./lab.ts";
import { check, print, summary, until } from "./report.ts";

/*
 * `npm run e2e`: a real control plane on this machine, the image that `npm run image` makes, deploy/kustomize as
 * deploy/README.md installs it, an intruder's pod. One line a check; exit code 1 if one failed. Takes the control
 * plane down at the end.
 */

const work = "/var/tmp/fim-e2e";
const state = "/var/lib/fim-agent";
const sshKeys = "/root/.ssh/authorized_keys";
const apiServer = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const parked = join(work, "kube-apiserver.yaml");
/** Files of the storm during an upgrade. */
const stormSize = 300;
/** All agent pods so far, whose logs are read. */
const pods: Pod[] = [];

const missing = lab.labMissing();
if (missing !== undefined) {
  print(`e2e: ${missing}`);
  process.exit(2);
}
const hadKeys = existsSync(sshKeys);
try {
  prepare();
  await run();
} finally {
  if (!hadKeys) rmSync(sshKeys, { force: true });
  lab.down();
  rmSync(work, { recursive: true, force: true });
  rmSync(state, { recursive: true, force: true });
}
process.exitCode = summary();

function prepare(): void {
  if (existsSync(state)) throw new Error(`${state} exists: not made by this run`);
  mkdirSync(work, { recursive: true });
  if (!hadKeys) {
    mkdirSync("/root/.ssh", { recursive: true, mode: 0o700 });
    writeFileSync(sshKeys, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGood operator\n", { mode: 0o600 });
  }
  for (const tag of ["e2e", "e2e-next"]) {
    const archive = join(work, `${tag}.tar`);
    const image = join(import.meta.dirname, "../packaging/image.ts");
    execFileSync(process.execPath, [image, `localhost/fim-agent:${tag}`, archive], {
      stdio: "ignore",
    });
    writeOverlay(join(work, tag), "base/agent", tag);
  }
}

async function run(): Promise<void> {
  await check("a Kubernetes control plane comes up", () => {
    lab.up();
    for (const tag of ["e2e", "e2e-next"]) lab.importImage(join(work, `${tag}.tar`));
    lab.importImage("/var/lib/kube-lab/images-base/debian.tar");
  });
  await checkOverlays();
  if (!(await check("the agent is installed and ready", install))) return;
  await check("doctor finds nothing wrong in the pod", () => {
    const bad = inAgent(last(), "doctor")
      .split("\n")
      .filter((line) => line.startsWith("!!"));
    if (bad.length > 0) throw new Error(bad.join("\n"));
  });
  startIntruder();
  for (const one of attacks)
    await check(`reported with pod, namespace, container and process: ${one.title}`, async () => {
      attack(one.script);
      await reported(one.path, one.change);
      attack(one.undo);
    });
  await check("the API server is down: an attack is reported all the same", withoutApiServer);
  await check("deleted with --force, the agent comes back with its baseline", deleteByForce);
  await check("what changed while no agent ran is reported as offline", whileGone);
  await check("an upgrade of the image during a storm of changes loses none", upgradeInStorm);
  await check("accept in the pod: nothing drifts afterwards", accept);
  await check("uninstalling leaves nothing but the state", uninstall);
}

async function checkOverlays(): Promise<void> {
  const overlays = join(import.meta.dirname, "../deploy/kustomize/overlays");
  lab.kube("create", "namespace", "fim-system");
  for (const name of readdirSync(overlays))
    await check(`the API server accepts the overlay ${name} (dry run)`, () => {
      lab.kube("apply", "--dry-run=server", "-k", join(overlays, name));
    });
  lab.kube("delete", "namespace", "fim-system");
}

function last(): Pod {
  const pod = pods.at(-1);
  if (!pod) throw new Error("no agent pod");
  return pod;
}

async function install(): Promise<void> {
  lab.kube("apply", "-k", join(work, "e2e"));
  pods.push(await readyPod());
}

function alerts(): readonly Seen[] {
  return alertsOf(pods.map(({ uid }) => uid));
}

/** Awaits the alert of a change that the intruder made. */
async function reported(path: string, change: string): Promise<Seen> {
  const found = await until(`an alert of ${path}`, 30, () =>
    alerts().findLast((one) => one.path === path && one.change === change),
  );
  const { actor } = found;
  const { pod, namespace, name } = actor?.container ?? {};
  const isNamed =
    pod === intruder.pod && namespace === intruder.namespace && name === intruder.name;
  if (!isNamed || actor?.exe === undefined) throw new Error(`actor: ${JSON.stringify(actor)}`);
  return found;
}

function isUp(): boolean {
  return lab.tryKube("get", "--raw", "/healthz").ok;
}

async function withoutApiServer(): Promise<void> {
  const path = "/etc/kubernetes/pki/stolen.key";
  renameSync(apiServer, parked);
  try {
    await until("the API server to stop", 60, () => !isUp());
    attack(`echo key > /host${path}`, "runtime");
    await reported(path, "created");
    if (isUp()) throw new Error("the API server was up");
    attack(`rm /host${path}`, "runtime");
  } finally {
    renameSync(parked, apiServer);
    await until("the API server to start", 180, isUp);
  }
  const log = await until("kubectl logs with the alert", 60, () => {
    const { ok, text } = lab.tryKube("logs", "-n", "fim-system", last().name, "-c", "fim-agent");
    return ok && text.includes(path) && text;
  });
  if (!log.includes(intruder.pod)) throw new Error("kubectl logs does not name the pod");
}

async function deleteByForce(): Promise<void> {
  const before = last();
  lab.kube("delete", "pod", "-n", "fim-system", before.name, "--force", "--grace-period=0");
  pods.push(await readyPod(before));
  const log = lab.kube("logs", "-n", "fim-system", last().name, "-c", "baseline");
  if (!log.startsWith("baseline: kept")) throw new Error(log);
}

/** Restricts the DaemonSet to nodes with a label, or lifts that. */
function selectNodes(label: string | null): void {
  const nodeSelector = { "fim-e2e": label };
  const patch = JSON.stringify({ spec: { template: { spec: { nodeSelector } } } });
  lab.kube("patch", "-n", "fim-system", "daemonset/fim-agent", "-p", patch);
}

async function whileGone(): Promise<void> {
  const path = "/etc/kubernetes/manifests/offline.yaml";
  selectNodes("nowhere");
  await until("the agent's pod to go", 60, () => {
    const text = lab.kube("get", "pods", "-n", "fim-system", "-o", "name");
    return text.trim() === "";
  });
  attack(`echo kind: Nothing > /host${path}`);
  selectNodes(null);
  pods.push(await readyPod());
  const found = await until("its alert", 30, () => alerts().find((one) => one.path === path));
  if (found.offline !== true) throw new Error(JSON.stringify(found));
  attack(`rm /host${path}`);
}

async function upgradeInStorm(): Promise<void> {
  const before = last();
  const dir = "/etc/kubernetes/storm";
  attack(`mkdir /host${dir}`);
  lab.kube("apply", "-k", join(work, "e2e-next"));
  attack(`for i in $(seq ${stormSize}); do echo $i > /host${dir}/$i.yaml; sleep 0.05; done`);
  pods.push(await readyPod(before));
  const isStorm = ({ path, change }: Seen): boolean =>
    path.startsWith(`${dir}/`) && change === "created";
  await until(`${stormSize} alerts`, 60, () => alerts().filter(isStorm).length >= stormSize);
  const counted = alerts().filter(isStorm);
  const distinct = new Set(counted.map(({ path }) => path)).size;
  const offline = counted.filter((one) => one.offline === true).length;
  print(
    `        ${distinct} of ${stormSize} reported, ${offline} of them as offline, ${counted.length - distinct} twice`,
  );
  if (distinct !== stormSize || counted.length !== stormSize)
    throw new Error("not each exactly once");
}

async function accept(): Promise<void> {
  const dir = "/etc/kubernetes/storm";
  const path = `${dir}/1.yaml`;
  inAgent(last(), "accept", path, "--reason", "e2e");
  const { text } = lab.tryKube(
    "exec",
    "-n",
    "fim-system",
    last().name,
    "--",
    "fim-agent",
    "check",
    path,
  );
  if (text !== "" && !text.includes("no drift")) throw new Error(text);
  attack(`rm -r /host${dir}`);
  await Promise.resolve();
}

async function uninstall(): Promise<void> {
  lab.kube("delete", "-k", join(work, "e2e-next"), "--timeout=120s");
  await until("the namespace to go", 60, () => !lab.tryKube("get", "namespace", "fim-system").ok);
  const running = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
  const left = running.split("\n").filter((line) => line.includes("/usr/lib/fim-agent/"));
  if (left.length > 0) throw new Error(left.join("\n"));
  if (!existsSync(join(state, "fim.db"))) throw new Error(`${state} is gone`);
}
