import test from "ava";
import type { ExecutionContext } from "ava";
import { appendFileSync, mkdirSync, renameSync, rmdirSync } from "node:fs";
import { runAgent } from "../helpers/agent.ts";
import { makeControlPlane, makePlace } from "../helpers/tree.ts";
import type { Place } from "../helpers/tree.ts";

const apiserver = "/node/etc/kubernetes/manifests/kube-apiserver.yaml";
const kubelet = "/var/lib/kubelet/config.yaml";

interface Reported {
  readonly path: string;
  readonly change: string;
  readonly severity: string;
}

/** A node that `auto` recognises as kubeadm's, with a baseline. */
async function begin(t: ExecutionContext): Promise<Place> {
  const place = makePlace();
  makeControlPlane(place.at("/node"));
  t.is((await run(place, "baseline")).code, 0);
  return place;
}

const run = (place: Place, ...args: readonly string[]) =>
  runAgent([...args, "--root", place.at("/node"), "--state", place.at("/state")]);

async function reported(place: Place): Promise<readonly Reported[]> {
  const { stdout } = await run(place, "check", "--format", "ndjson");
  const lines = stdout.split("\n").filter((line) => line !== "");
  return lines
    .map((line) => JSON.parse(line) as Reported)
    .map(({ path, change, severity }) => ({ path, change, severity }));
}

test.serial(
  "who takes away what a node is recognised by does not have it watched less",
  async (t) => {
    using place = await begin(t);
    renameSync(place.at(apiserver), place.at("/gone"));
    appendFileSync(place.at(`/node${kubelet}`), "# altered\n");
    t.deepEqual(await reported(place), [
      {
        path: "/etc/kubernetes/manifests/kube-apiserver.yaml",
        change: "deleted",
        severity: "critical",
      },
      { path: kubelet, change: "modified", severity: "high" },
    ]);
  },
);

test.serial("who makes a node look like another's does not have it watched less", async (t) => {
  using place = await begin(t);
  mkdirSync(place.at("/node/etc/rancher"));
  appendFileSync(place.at(`/node${kubelet}`), "# altered\n");
  t.deepEqual(await reported(place), [
    { path: kubelet, change: "modified", severity: "high" },
    { path: "/etc/rancher", change: "created", severity: "low" },
  ]);
});

test.serial("a baseline that is replaced recognises the node again", async (t) => {
  using place = await begin(t);
  renameSync(place.at(apiserver), place.at("/gone"));
  const { code, stdout } = await run(place, "baseline", "--replace", "--reason", "another node");
  t.is(code, 0);
  t.regex(stdout, /policy linux,/);
});

test.serial("a node that became kubeadm's after its baseline is recognised as that", async (t) => {
  using place = makePlace();
  makeControlPlane(place.at("/node"));
  renameSync(place.at(apiserver), place.at("/later"));
  t.regex((await run(place, "baseline")).stdout, /policy linux,/);
  renameSync(place.at("/later"), place.at(apiserver));
  t.regex((await run(place, "policy", "show")).stdout, /^name: kubeadm$/m);
});

test.serial(
  "what the baseline has is compared, also when another policy was in force meanwhile",
  async (t) => {
    using place = await begin(t);
    mkdirSync(place.at("/node/etc/rancher"));
    await run(place, "accept", "/etc/rancher", "--reason", "ours", "--policy", "linux");
    appendFileSync(place.at(`/node${kubelet}`), "# altered\n");
    rmdirSync(place.at("/node/etc/rancher"));
    const { code, stdout } = await run(place, "check", "--policy", "kubeadm", kubelet);
    t.regex(stdout, /modified {2}\/var\/lib\/kubelet\/config\.yaml/);
    t.is(code, 1);
  },
);
