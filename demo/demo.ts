import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fail, failUncaught } from "../src/cli/fail.ts";
import { runLocally, stopSignal } from "../src/cli/local.ts";
import type { Serving } from "../src/collector/serve.ts";
import { out } from "../src/cli/print.ts";
import { makeControlPlane } from "../test/helpers/tree.ts";

interface Attack {
  readonly title: string;
  /** Where the alert is expected. */
  readonly path: string;
  readonly play: (at: (path: string) => string) => void;
}

/** Milliseconds until the last alert must be at the collector. */
const patience = 15_000;
const manifests = "/etc/kubernetes/manifests";

/** What an intruder with root does to a control-plane node, done to a throw-away tree. */
const attacks: readonly Attack[] = [
  {
    title: "anonymous requests allowed in the API server's manifest (T1562.001)",
    path: `${manifests}/kube-apiserver.yaml`,
    play: (at) =>
      execFileSync("sed", [
        "-i",
        "s/- --authorization-mode=.*/- --authorization-mode=AlwaysAllow/",
        at(`${manifests}/kube-apiserver.yaml`),
      ]),
  },
  {
    title: "a static pod dropped beside the real ones (T1610)",
    path: `${manifests}/kube-apiserver.yml`,
    play: (at) => fs.writeFileSync(at(`${manifests}/kube-apiserver.yml`), "kind: Pod\n"),
  },
  {
    title: "a second certificate authority appended to the cluster's (T1649)",
    path: "/etc/kubernetes/pki/ca.crt",
    play: (at) =>
      fs.appendFileSync(
        at("/etc/kubernetes/pki/ca.crt"),
        fs.readFileSync(at("/etc/kubernetes/pki/etcd/ca.crt")),
      ),
  },
  {
    title: "the administrator's kubeconfig made readable for everyone (T1552.001)",
    path: "/etc/kubernetes/admin.conf",
    play: (at) => fs.chmodSync(at("/etc/kubernetes/admin.conf"), 0o644),
  },
  {
    title: "the key that signs service-account tokens swapped (T1528)",
    path: "/etc/kubernetes/pki/sa.key",
    play: (at) => {
      execFileSync("openssl", ["genrsa", "-out", at("/etc/kubernetes/pki/.new"), "2048"], {
        stdio: "ignore",
      });
      fs.renameSync(at("/etc/kubernetes/pki/.new"), at("/etc/kubernetes/pki/sa.key"));
    },
  },
  {
    title: "a kubelet setting slipped in by a systemd drop-in (T1543.002)",
    path: "/etc/systemd/system/kubelet.service.d/20-debug.conf",
    play: (at) => {
      const dir = at("/etc/systemd/system/kubelet.service.d");
      fs.mkdirSync(dir, { recursive: true });
      fs.writeFileSync(
        join(dir, "20-debug.conf"),
        "[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--anonymous-auth=true\n",
      );
    },
  },
  {
    title: "a CNI plugin replaced: it runs as root for every pod (T1574)",
    path: "/opt/cni/bin/",
    play: (at) => {
      const plugin = fs.readdirSync(at("/opt/cni/bin"))[0] ?? "bridge";
      fs.appendFileSync(at(`/opt/cni/bin/${plugin}`), "\n#!implant");
    },
  },
  {
    title: "the kubelet's client certificate link pointed elsewhere (T1550)",
    path: "/var/lib/kubelet/pki/kubelet-client-current.pem",
    play: (at) => {
      const link = at("/var/lib/kubelet/pki/kubelet-client-current.pem");
      fs.rmSync(link);
      fs.symlinkSync("/tmp/stolen.pem", link);
    },
  },
  {
    title: "a cron job that calls home (T1053.003)",
    path: "/etc/cron.d/update",
    play: (at) => {
      fs.mkdirSync(at("/etc/cron.d"), { recursive: true });
      fs.writeFileSync(at("/etc/cron.d/update"), "* * * * * root true\n");
    },
  },
  {
    title: "the scheduler taken down by removing its manifest (T1489)",
    path: `${manifests}/kube-scheduler.yaml`,
    play: (at) => fs.rmSync(at(`${manifests}/kube-scheduler.yaml`)),
  },
];

const place = mkdtempSync(join(tmpdir(), "fim-demo-"));
const root = join(place, "node");
const at = (path: string): string => join(root, path);
const stopped = stopSignal();
const ended = new AbortController();
const signal = AbortSignal.any([stopped, ended.signal]);
/** How each attack ended: undefined, or the problem. */
let played: Promise<unknown> = Promise.resolve();

failUncaught("fim-agent");
try {
  makeControlPlane(root);
  const onReady = (serving: Serving): void => {
    played = playAll(serving)
      .catch((error: unknown) => error)
      .finally(() => ended.abort());
  };
  await runLocally({ root, place: join(place, "state"), onReady }, signal);
  const fault = await played;
  if (fault !== undefined && !wasInterrupted(fault)) process.exitCode = fail("fim-agent", fault);
} catch (error) {
  process.exitCode = fail("fim-agent", error);
} finally {
  rmSync(place, { recursive: true, force: true });
}

/** Ctrl-C also ends the attack's program, perhaps before the signal arrives here. */
function wasInterrupted(fault: unknown): boolean {
  return stopped.aborted || (fault as { signal?: unknown }).signal === "SIGINT";
}

async function playAll(serving: Serving): Promise<void> {
  for (const [number, attack] of attacks.entries()) {
    if (signal.aborted) return;
    out(`\n${number + 1}. ${attack.title}`);
    attack.play(at);
    await pause(700);
  }
  const seen = await untilSeen(serving);
  out(`\n${seen} of ${attacks.length} seen at the collector`);
  if (seen < attacks.length) throw new Error("not every attack was seen");
  out("next: npm start watches this machine; docs/install.md puts it on your cluster");
  if (!process.stdout.isTTY) return;
  out(`the page stays at ${serving.address}/ until Ctrl-C`);
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

/** Waits until the collector shows an alert for every attack. Returns for how many it does. */
async function untilSeen({ collector }: Serving): Promise<number> {
  const until = Date.now() + patience;
  for (;;) {
    const alerts = await collector.store.alerts({ limit: 1000 });
    const seen = attacks.filter((attack) =>
      alerts.some(({ path = "" }) => path.startsWith(attack.path)),
    ).length;
    if (seen === attacks.length || Date.now() > until || signal.aborted) return seen;
    await pause(100);
  }
}
