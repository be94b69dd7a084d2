import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { freePort, get } from "../helpers/http.ts";
import { until } from "../helpers/wait.ts";
import { chainOf, inShort } from "../helpers/node.ts";
import type { Alert } from "../helpers/node.ts";
import { fanotifyMissing } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { needing } from "../helpers/needs.ts";

const possible = needing(fanotifyMissing, "serial");

const programs = "/usr/bin";
const manifests = "/etc/kubernetes/manifests";
const huge = `${programs}/huge`;
const kubelet = `${programs}/kubelet`;
const tebibyte = 1024 ** 4;
const mebibyte = 1024 ** 2;
/** To report of a file that is read at once. */
const deadline = 5000;
const pathFlag = 0o10000000; // O_PATH

async function startWithPrograms(): Promise<RunningNode> {
  return await startNode({
    rules: [
      { id: "programs", paths: [`${programs}/**`], severity: "high" },
      { id: "manifests", paths: [`${manifests}/**`], severity: "critical" },
    ],
    prepare: (ground) => {
      mkdirSync(ground.at(manifests), { recursive: true });
      ground.write(kubelet, "");
      truncateSync(ground.at(kubelet), 100 * mebibyte);
    },
    watch: { quickSweepEvery: "1s" },
  });
}

/** A file that gives only zeros, for hours. */
function makeHuge(node: RunningNode, path: string): void {
  writeFileSync(node.at(path), "");
  truncateSync(node.at(path), tebibyte);
}

/** The agent holds the file open for reading: it does not only look at its inode. */
const isRead = (node: RunningNode, path: string): boolean =>
  isReadBy(node.watching.pid, node.at(path));

function isReadBy(pid: number, file: string): boolean {
  const dir = `/proc/${pid}`;
  return readdirSync(`${dir}/fd`).some((fd) => {
    try {
      if (!readlinkSync(`${dir}/fd/${fd}`).startsWith(file)) return false;
      const flags = /flags:\s*(\d+)/.exec(readFileSync(`${dir}/fdinfo/${fd}`, "utf8"))?.[1];
      return (Number.parseInt(flags ?? "0", 8) & pathFlag) === 0;
    } catch {
      return false; // It was closed meanwhile.
    }
  });
}

async function toldInTime(node: RunningNode, path: string, after: number): Promise<Alert> {
  const asked = performance.now();
  const alert = await node.alerted((one) => one.path === path, after);
  const took = performance.now() - asked;
  if (took > deadline) throw new Error(`${path} was reported after ${took} ms`);
  return alert;
}

const of = (node: RunningNode, ...paths: readonly string[]): readonly Alert[] =>
  node.alerts().filter(({ path }) => paths.includes(path));

possible(
  `what happens elsewhere is reported in time while a huge file is read, and what becomes of that file too`,
  async (t) => {
    await using node = await startWithPrograms();
    makeHuge(node, huge);
    await until(() => isRead(node, huge));
    const created = await toldInTime(node, huge, 0);
    t.is(created.change, "created");
    t.is(created.after?.sha256, undefined);

    node.write(`${manifests}/evil.yaml`, "evil");
    const evil = await toldInTime(node, `${manifests}/evil.yaml`, 0);
    t.is(evil.change, "created");
    t.is(evil.severity, "critical");
    t.not(evil.after?.sha256, undefined);
    // A large program does not wait for a huge file either.
    const before = node.alerts().length;
    writeFileSync(node.at(kubelet), "evil", { flag: "a" });
    const program = await toldInTime(node, kubelet, before);
    t.is(program.change, "modified");
    t.deepEqual(program.fields, ["content"]);
    t.true(isRead(node, huge));
    t.is((await get(`http://${node.watching.listen}/healthz`)).status, 200);

    truncateSync(node.at(huge), 3);
    const cut = await node.alerted(({ path, after }) => path === huge && after?.size === 3);
    t.is(cut.change, "modified");
    t.deepEqual(cut.fields, ["content"]);
    t.not(cut.after?.sha256, undefined);
    await until(() => node.current().get(huge)?.size === 3);
    t.is(await node.watching.stop(), 0);
    t.deepEqual(
      of(node, huge)
        .filter(({ after }) => after?.size !== 0)
        .map(({ change }) => change),
      ["created", "modified"],
      inShort(node.alerts()).join("\n"),
    );
  },
);

possible(
  `a huge file that is deleted while it is read is reported as deleted, and is not known`,
  async (t) => {
    await using node = await startWithPrograms();
    makeHuge(node, huge);
    await until(() => isRead(node, huge));
    await toldInTime(node, huge, 0);
    const before = node.alerts().length;
    rmSync(node.at(huge));
    t.is((await toldInTime(node, huge, before)).change, "deleted");
    await until(() => !isRead(node, huge));
    t.false(node.current().has(huge));
    t.is(await node.watching.stop(), 0);
  },
);

possible(
  `a huge file that is renamed with its directory, and one that is linked, do not hold up the rest`,
  async (t) => {
    await using node = await startWithPrograms();
    mkdirSync(node.at("/outside"));
    makeHuge(node, "/outside/huge");
    renameSync(node.at("/outside"), node.at(`${programs}/inside`));
    const inside = `${programs}/inside/huge`;
    await until(() => isRead(node, inside));
    linkSync(node.at(inside), node.at(huge));
    renameSync(node.at(`${programs}/inside`), node.at(`${programs}/moved`));
    node.write(`${manifests}/evil.yaml`, "evil");
    t.is((await toldInTime(node, `${manifests}/evil.yaml`, 0)).change, "created");

    rmSync(node.at(huge));
    truncateSync(node.at(`${programs}/moved/huge`), 3);
    await until(() => node.current().get(`${programs}/moved/huge`)?.sha256 !== undefined, 20_000);
    await until(() => !node.current().has(inside), 20_000);
    t.false(node.current().has(huge));
    t.log(inShort(chainOf(node.state)).join("\n"));
    t.is(await node.watching.stop(), 0);
  },
);

possible(
  `a program that is replaced by one with a huge hole in it is reported in time`,
  async (t) => {
    await using node = await startWithPrograms();
    makeHuge(node, "/evil");
    renameSync(node.at("/evil"), node.at(kubelet));
    const alert = await toldInTime(node, kubelet, 0);
    t.is(alert.change, "modified");
    t.deepEqual(alert.fields, ["content", "inode"]);
    t.is(await node.watching.stop(), 0);
  },
);

possible(`SIGTERM ends an agent that reads a huge file, be it in its first sweep`, async (t) => {
  await using node = await startWithPrograms();
  makeHuge(node, huge);
  await until(() => isRead(node, huge));
  const asked = performance.now();
  t.is(await node.watching.stop(), 0);
  t.true(performance.now() - asked < deadline);
  t.deepEqual(
    node.watching.logs().filter(({ level }) => Number(level) >= 50),
    [],
  );

  const program = join(import.meta.dirname, "../../bin/fim-agent");
  const policy = join(node.dir, "policy.yaml");
  const args = ["watch", "--root", node.at("/"), "--state", node.state, "--policy", policy];
  const again = spawn(program, [...args, "--listen", `127.0.0.1:${await freePort()}`], {
    stdio: "ignore",
  });
  const ended = once(again, "exit");
  try {
    await until(() => isReadBy(again.pid ?? 0, node.at(huge)));
    const askedAgain = performance.now();
    again.kill("SIGTERM");
    t.deepEqual(await ended, [0, null]);
    t.true(performance.now() - askedAgain < deadline);
  } finally {
    again.kill("SIGKILL");
  }
});
