import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { attack, attacks, startIntruder } from "./attacks.ts";
import type { Attack } from "./attacks.ts";
import { collected, nodeIs } from "./collector.ts";
import { awaitCollector, inAgent, makeVolume, work, writeOverlay } from "./install.ts";
import * as lab from "./lab.ts";
import { drained, outOfMemory, rebooted, restartOf, stateIsFull } from "./faults.ts";
import { normalLife, startLogging, stopLogging } from "./noise.ts";
import { printMemory } from "./memory.ts";
import {
  accept,
  deleteByForce,
  staticPod,
  upgradeInStorm,
  whileGone,
  withoutApiServer,
} from "./lifecycle.ts";
import { pods, reported, requireIntruder } from "./pods.ts";
import { check, print, summary, until } from "./report.ts";

/*
 * `npm run e2e [-- PART…] [--minutes N]`: a real control plane on this machine, the image that `npm run image` makes,
 * deploy/kustomize as docs/install.md installs it, an intruder's pod. One line a check; exit code 1 if one failed. Takes
 * the control plane down at the end. Parts: attacks, life, noise, faults, upgrade, static-pod; all when none is named.
 * N: how long the noise lasts.
 */

const state = "/var/lib/fim-agent";
const sshKeys = "/root/.ssh/authorized_keys";
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: "string", default: "5" } },
});
const noiseMinutes = Number(values.minutes);
const tags = ["e2e", "e2e-next"] as const;
/** OpenShift's constraints; a PodDisruptionBudget of Kubernetes 1.21. */
const ofOtherApis: ReadonlySet<string> = new Set(["openshift", "postgres"]);

/** In this order, for a later part may need what an earlier one left. */
const parts: Readonly<Record<string, () => Promise<void>>> = {
  attacks: async () => {
    for (const one of attacks)
      await check(`seen with pod, namespace, container, process: ${one.title}`, async () => {
        await play(one);
      });
  },
  life: async () => {
    await check("the API server is down: an attack is reported all the same", withoutApiServer);
    await check("deleted with --force, the agent comes back with its baseline", deleteByForce);
    await check(
      "deleted with --force and kept away: silent, then back; changes offline",
      whileGone,
    );
  },
  noise: async () => {
    await check(`${noiseMinutes} minutes of normal life raise nothing above info`, async () => {
      await normalLife(noiseMinutes);
    });
  },
  faults: async () => {
    for (const program of ["kubelet", "containerd"] as const)
      await check(`${program} restarts: the agent goes on`, async () => await restartOf(program));
    await check("the node is drained: the agent stays, and delivers later", drained);
    await check("the node reboots: the change is reported as offline", rebooted);
    await check("the state directory is full: nothing is lost", stateIsFull);
    await check("out of memory: the change is reported as offline", outOfMemory);
  },
  upgrade: async () => {
    await check("an upgrade of the image during a storm of changes loses none", upgradeInStorm);
    await check("accept with kubectl: the path drifts no more", accept);
  },
};
const unknown = positionals.filter((name) => name !== "static-pod" && !(name in parts));

if (unknown.length > 0) {
  print(`e2e: no part ${unknown.join(", ")}`);
  process.exit(2);
}
const missing = lab.labMissing();
if (missing !== undefined) {
  print(`e2e: ${missing}`);
  process.exit(2);
}
const hadKeys = existsSync(sshKeys);
try {
  startLogging();
  prepare();
  await run();
} finally {
  stopLogging();
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
  const image = join(import.meta.dirname, "../packaging/image.ts");
  for (const tag of tags) {
    const words = [image, `localhost/fim-agent:${tag}`, join(work, `${tag}.tar`)];
    execFileSync(process.execPath, words, { stdio: "ignore" });
    writeOverlay(join(work, tag), tag);
  }
}

async function run(): Promise<void> {
  const isUp = await check("a Kubernetes control plane comes up", () => {
    lab.up();
    for (const tag of tags) lab.importImage(join(work, `${tag}.tar`));
    lab.importImage(lab.shellImage);
  });
  if (!isUp) return;
  if (isWanted("attacks")) await checkOverlays();
  if (!(await check("installed: the agent is ready", install))) return;
  await check("installed: the collector is ready", awaitCollector);
  await check("the node joins the collector with its service account", async () => {
    await nodeIs("well", 300);
  });
  await check("doctor finds nothing wrong in the pod", () => {
    const lines = inAgent(pods.last(), "doctor").split("\n");
    const bad = lines.filter((line) => line.startsWith("!!"));
    if (bad.length > 0) throw new Error(bad.join("\n"));
  });
  printMemory("after the first sweep");
  startIntruder();
  for (const [name, part] of Object.entries(parts)) if (isWanted(name)) await part();
  printMemory("at the end");
  await check("uninstalling leaves nothing but the state", uninstall);
  if (isWanted("static-pod"))
    await check("as a static pod the agent starts without the API server", staticPod);
}

function isWanted(part: string): boolean {
  return positionals.length === 0 || positionals.includes(part);
}

/** In the agent's log first, then at the collector. */
async function play({ path, change, script, undo }: Attack): Promise<void> {
  attack(script);
  await reported(path, change);
  const atCollector = await until(`${path} at the collector`, 120, () =>
    collected(path).find((one) => one.change === change),
  );
  requireIntruder(atCollector);
  attack(undo);
}

async function checkOverlays(): Promise<void> {
  const overlays = join(import.meta.dirname, "../deploy/kustomize/overlays");
  lab.kube("create", "namespace", "fim-system");
  for (const name of readdirSync(overlays).filter((one) => !ofOtherApis.has(one)))
    await check(`the API server accepts the overlay ${name} (dry run)`, () => {
      lab.kube("apply", "--dry-run=server", "-k", join(overlays, name));
    });
  lab.kube("delete", "namespace", "fim-system");
}

async function install(): Promise<void> {
  makeVolume(join(work, "collector"));
  lab.kube("apply", "-k", join(work, "e2e"));
  await pods.next();
}

async function uninstall(): Promise<void> {
  lab.kube("delete", "-k", join(work, "e2e-next"), "--timeout=300s");
  await until("the namespace to go", 300, () => !lab.tryKube("get", "namespace", "fim-system").ok);
  const running = execFileSync("ps", ["-eo", "args"], { encoding: "utf8" });
  const left = running.split("\n").filter((line) => line.includes("/usr/lib/fim-agent/"));
  if (left.length > 0) throw new Error(left.join("\n"));
  if (!existsSync(join(state, "fim.db"))) throw new Error(`${state} is gone`);
}
