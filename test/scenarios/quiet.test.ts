import test from "ava";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  globSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { until } from "../helpers/wait.ts";
import { inShort } from "../helpers/node.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";

const manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const binary = "/usr/bin/kubelet";

interface Case {
  readonly what: string;
  readonly play: (node: RunningNode) => void;
  /** An engine that hears of a changed attribute may say that there was one, at most as low. */
  readonly touchesAttributes?: true;
}

const silent: readonly Case[] = [
  {
    what: "every file is read",
    play: (node) => {
      for (const name of globSync("**/*", { cwd: node.root })) {
        const file = node.at(`/${name}`);
        if (lstatSync(file).isFile()) readFileSync(file);
      }
    },
  },
  {
    what: "programs read, list and copy out",
    play: (node) => {
      mkdirSync(node.beside("out"), { recursive: true });
      const from = node.at("/etc/kubernetes");
      execFileSync("cp", ["-a", from, node.beside("out")]);
      execFileSync("sh", ["-c", 'find "$0" -type f -exec sha256sum {} +; ls -laR "$0"', from]);
      execFileSync("tar", ["-cf", node.beside("out.tar"), "-C", node.root, "etc", "var"]);
    },
  },
  {
    what: "a mode is set to what it is",
    play: (node) => chmodSync(node.at(manifest), statSync(node.at(manifest)).mode & 0o7777),
    touchesAttributes: true,
  },
  {
    what: "an owner is set to what it is",
    play: (node) => {
      const { uid, gid } = statSync(node.at(manifest));
      chownSync(node.at(manifest), uid, gid);
    },
    touchesAttributes: true,
  },
  {
    what: "an access time is set",
    play: (node) => execFileSync("touch", ["-a", node.at(manifest)]),
    touchesAttributes: true,
  },
  {
    what: "a file is opened for writing and nothing is written",
    play: (node) => execFileSync("sh", ["-c", ': >> "$0"', node.at(manifest)]),
  },
  {
    what: "what no process watches is written",
    play: (node) => {
      writeFileSync(node.at("/tmp/scratch"), "x");
      writeFileSync(node.at("/opt/unrelated.conf"), "x");
      mkdirSync(node.at("/var/lib/kubelet/pods/uid/volumes"), { recursive: true });
      writeFileSync(node.at("/var/lib/kubelet/pods/uid/volumes/token"), "x");
    },
  },
];

const slight: readonly (Case & { readonly path: string; readonly field: string })[] = [
  {
    what: "the same content is written again",
    path: manifest,
    field: "mtime",
    play: (node) => writeFileSync(node.at(manifest), readFileSync(node.at(manifest))),
  },
  {
    what: "a modification time is set",
    path: manifest,
    field: "mtime",
    play: (node) => utimesSync(node.at(manifest), 1_700_000_000, 1_700_000_000),
  },
  {
    what: "a package manager puts an identical file in its place",
    path: binary,
    field: "inode",
    play: (node) => {
      const fresh = node.at(`${binary}.dpkg-new`);
      copyFileSync(node.at(binary), fresh);
      chmodSync(fresh, 0o755);
      utimesSync(fresh, statSync(node.at(binary)).atime, statSync(node.at(binary)).mtime);
      renameSync(fresh, node.at(binary));
    },
  },
  {
    what: "a file gets a second name elsewhere",
    path: manifest,
    field: "links",
    play: (node) => execFileSync("ln", [node.at(manifest), node.beside("second-name")]),
  },
];

/** A sweep of this kind has ended this many times more. */
async function swept(node: RunningNode, sweep: "quick" | "full", times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const from = performance.now();
    await until(async () => {
      const age = (await node.watching.metrics()).get(`fim_sweep_age_seconds{sweep="${sweep}"}`);
      return age !== undefined && age * 1000 < performance.now() - from;
    }, 60_000);
  }
}

for (const engine of ["auto", "chokidar"] as const) {
  test.serial(
    `with ${engine}, an idle node is silent, and so is one whose files are read or set to what they are`,
    async (t) => {
      await using node = await startNode({
        tree: "control-plane",
        engine,
        watch: { quickSweepEvery: "100ms", fullSweepEvery: "1s", heartbeatEvery: "1s" },
      });
      const running = `fim_hints_total{engine="${node.watching.logs().find(({ msg }) => msg === "engine")?.["engine"] as string}"}`;
      const hints = (await node.watching.metrics()).get(running);
      t.is(typeof hints, "number", running);
      // As many sweeps and self-tests as in minutes of the defaults.
      await swept(node, "full", 3);
      await swept(node, "quick", 12);
      t.is((await node.watching.metrics()).get(running), hints);
      t.deepEqual(inShort(node.alerts()), []);

      for (const { what, play, touchesAttributes } of silent) {
        const before = node.alerts().length;
        play(node);
        await node.catchUp();
        const reported = node.alerts().slice(before);
        const allowed = touchesAttributes === true && engine === "auto" ? ["low"] : [];
        t.deepEqual(
          inShort(reported.filter(({ severity }) => !allowed.includes(severity))),
          [],
          what,
        );
      }
      t.deepEqual(
        node.events().filter((type) => type.startsWith("fim.agent.")),
        ["fim.agent.baseline", "fim.agent.started"],
      );
      const check = await node.run("check", "--format", "ndjson", "/usr", "/etc/kubernetes/pki");
      t.is(check.code, 0, check.stdout + check.stderr);
    },
  );

  test.serial(
    `with ${engine}, what leaves content, mode and owner as they were is reported once, at most as low`,
    async (t) => {
      await using node = await startNode({ tree: "control-plane", engine });
      for (const { what, play, path, field } of slight) {
        const before = node.alerts().length;
        play(node);
        await node.alerted((one) => one.path === path, before);
        await node.catchUp();
        const reported = node.alerts().slice(before);
        t.deepEqual(
          reported.map((one) => [one.path, one.change, one.severity, one.fields?.join()]),
          [[path, "modified", "low", field]],
          `${what}: ${inShort(reported).join()}`,
        );
      }
    },
  );
}
