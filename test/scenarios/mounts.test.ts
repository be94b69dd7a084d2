import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { ChangeObject } from "../../src/core/text/change-json.ts";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";
import { inShort, makeNode } from "../helpers/node.ts";
import type { Alert, TestNode } from "../helpers/node.ts";
import { wrap } from "../helpers/processes.ts";
import { isGrave, startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { needing } from "../helpers/needs.ts";

const manifests = "/etc/kubernetes/manifests";
const manifest = `${manifests}/kube-apiserver.yaml`;

/** The agent has a mount namespace of its own, which ends with it, mounts and all. */
const ownMounts = `exec unshare -m --propagation private AGENT "$@"`;

function whyNoMounts(): string | undefined {
  try {
    execFileSync("unshare", ["-m", "--propagation", "private", "true"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "mounting needs root";
  }
}

const unmountable = whyNoMounts();
const mounting = needing(unmountable, "serial");

/** Runs a command where the agent sees what it mounts. */
function inside(node: RunningNode, ...command: readonly string[]): void {
  execFileSync("nsenter", ["-t", String(node.watching.pid), "-m", ...command], { stdio: "pipe" });
}

const reports =
  (change: Alert["change"], path: string) =>
  (one: Alert): boolean =>
    one.change === change && one.path === path;

/** With a line feed, a backslash and a byte that is no UTF-8. */
const oddName = Buffer.from("o\nd\\\xffd", "latin1");

const isOfMounts = ({ change }: Alert): boolean => /mounted/.test(change);

for (const engine of ["auto", "chokidar", "sweep"] as const) {
  mounting(
    `with ${engine}, a directory that is hidden under a mount is reported, and what is to be seen instead`,
    async (t) => {
      using place = makePlace();
      await using node = await startNode({
        tree: "control-plane",
        engine,
        program: wrap(place.at("alone"), ownMounts),
      });
      const names = readdirSync(node.at(manifests));
      t.true(names.length > 3);

      inside(node, "mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "hidden", node.at(manifests));
      const mounted = await node.alerted(reports("mounted", manifests));
      t.is(mounted.mount?.type, "tmpfs");
      t.is(mounted.mount?.source, "hidden");
      t.is(mounted.mount?.path, manifests);
      t.true(mounted.mount?.options.includes("rw"));
      t.is(mounted.event["activity_id"], 12);
      t.is(mounted.before?.type, "directory");
      t.like(mounted.event, { file: { type_id: 2 }, file_result: { type_id: 2 } });
      t.true(isGrave(mounted));
      for (const name of names) await node.alerted(reports("deleted", `${manifests}/${name}`));

      inside(node, "sh", "-c", `echo evil > ${node.at(manifests)}/evil.yaml`);
      const evil = await node.alerted(reports("created", `${manifests}/evil.yaml`));
      t.is(evil.after?.size, 5);

      const before = node.alerts().length;
      inside(node, "umount", node.at(manifests));
      const unmounted = await node.alerted(reports("unmounted", manifests), before);
      t.is(unmounted.event["activity_id"], 13);
      t.is(unmounted.before?.mode, "0700");
      t.like(unmounted.event, { file: { type_id: 2 } });
      t.is(unmounted.mount?.source, "hidden");
      t.true(isGrave(unmounted));
      for (const name of names)
        await node.alerted(reports("created", `${manifests}/${name}`), before);
      await node.alerted(reports("deleted", `${manifests}/evil.yaml`), before);
      await node.catchUp();
      const check = await node.run("check", "--format", "ndjson", "/etc/kubernetes/manifests");
      t.is(check.stdout, "");
      t.is(check.code, 0);
    },
  );

  mounting(
    `with ${engine}, another file over a manifest is reported as a mount and as another content`,
    async (t) => {
      using place = makePlace();
      const forged = place.at("forged.yaml");
      writeFileSync(forged, "apiVersion: v1\nkind: Pod\n", { mode: 0o600 });
      await using node = await startNode({
        tree: "control-plane",
        engine,
        program: wrap(place.at("alone"), ownMounts),
      });

      inside(node, "mount", "--bind", forged, node.at(manifest));
      const mounted = await node.alerted(reports("mounted", manifest));
      t.is(mounted.event["activity_id"], 12);
      t.is(mounted.severity, "critical");
      t.true(mounted.mount?.root.endsWith("/forged.yaml"), mounted.mount?.root);
      const modified = await node.alerted(reports("modified", manifest));
      t.true(modified.fields?.includes("content"), inShort([modified]).join());
      t.is(modified.severity, "critical");
      t.is(modified.after?.size, 25);

      const before = node.alerts().length;
      inside(node, "umount", node.at(manifest));
      t.is((await node.alerted(reports("unmounted", manifest), before)).event["activity_id"], 13);
      const back = await node.alerted(reports("modified", manifest), before);
      t.is(back.after?.sha256, modified.before?.sha256);
    },
  );
}

mounting(
  `a mount where nothing is watched is no one's concern, one above a watched directory is`,
  async (t) => {
    using place = makePlace();
    await using node = await startNode({
      tree: "control-plane",
      engine: "chokidar",
      program: wrap(place.at("alone"), ownMounts),
    });
    inside(node, "mount", "-t", "tmpfs", "idle", node.at("/tmp"));
    inside(node, "mount", "-t", "tmpfs", "above", node.at("/opt"));
    const above = await node.alerted((one) => one.change === "mounted");
    t.is(above.path, "/opt");
    t.true(isGrave(above));
    await node.alerted(reports("deleted", "/opt/cni/bin/calico"));
    await node.catchUp();
    t.deepEqual(inShort(node.alerts().filter(({ path }) => path.startsWith("/tmp"))), []);
  },
);

mounting(
  `what is mounted while the agent is down is reported as such at its next start, and once`,
  async (t) => {
    using place = makePlace();
    const holder = spawn(
      "unshare",
      ["-m", "--propagation", "private", "sh", "-c", "echo; read _"],
      {
        stdio: ["pipe", "pipe", "inherit"],
      },
    );
    try {
      await once(holder.stdout, "data");
      const there = ["-t", String(holder.pid), "-m"];
      const program = wrap(place.at("there"), `exec nsenter ${there.join(" ")} AGENT "$@"`);
      await using node = await startNode({
        tree: "control-plane",
        engine: "auto",
        program,
        prepare: ({ at }) =>
          mkdirSync(Buffer.concat([Buffer.from(at("/etc/kubernetes/")), oddName])),
      });
      t.is(await node.watching.stop(), 0);
      execFileSync("nsenter", [...there, "mount", "-t", "tmpfs", "hidden", node.at(manifests)]);
      const script = `mount -t tmpfs odd "$0/$(printf 'o\\012d\\134\\377d')"`;
      execFileSync("nsenter", [...there, "sh", "-c", script, node.at("/etc/kubernetes")]);
      const reported = async (after: number): Promise<readonly string[]> => {
        await using again = await node.again();
        await until(async () => (await again.metrics()).get("fim_outbox_records") === 0);
        t.is(await again.stop(), 0);
        return node
          .alerts()
          .slice(after)
          .filter(isOfMounts)
          .map(({ change, path, offline, severity }) => `${change} ${path} ${offline} ${severity}`);
      };
      t.deepEqual(await reported(0), [
        `mounted ${manifests} true critical`,
        "mounted /etc/kubernetes/o\nd\\\ufffdd true high",
      ]);
      t.true(node.alerts().some(reports("deleted", manifest)));
      const before = node.alerts().length;
      t.deepEqual(await reported(before), []);
      execFileSync("nsenter", [...there, "umount", node.at(manifests)]);
      t.deepEqual(await reported(before), [`unmounted ${manifests} true critical`]);
    } finally {
      holder.kill();
    }
  },
);

/** Runs one command of the agent where these shell lines have mounted something. */
function runWith(node: TestNode, mount: string, ...args: readonly string[]) {
  const line = `${mount}\nexec "$0" "$@"`;
  const all = ["-m", "--propagation", "private", "sh", "-ec", line, agent, ...args, ...node.args];
  const { status, stdout, stderr } = spawnSync("unshare", all, { encoding: "utf8" });
  const changes = stdout
    .split("\n")
    .filter((one) => one.startsWith("{"))
    .map((one) => JSON.parse(one) as ChangeObject);
  const said = changes.map(({ change, path, fields }) =>
    [change, path, ...(fields ?? [])].join(" "),
  );
  return { code: status, stdout, stderr, changes, said };
}

const agent = join(import.meta.dirname, "../../bin/fim-agent");
const checked = ["check", "--format", "ndjson"] as const;

mounting(
  "check reports a mount over watched paths as one change, with what differs beneath",
  async (t) => {
    using node = makeNode({ tree: "control-plane" });
    await node.capture();
    const copy = node.beside("copy");
    execFileSync("cp", ["-a", node.at(manifests), copy]);
    const bind = `mount --bind '${copy}' '${node.at(manifests)}'`;

    const same = runWith(node, bind, ...checked);
    t.is(same.code, 1, same.stderr);
    t.deepEqual(same.said, [`mounted ${manifests}`]);
    t.is(same.changes[0]?.severity, "critical");
    t.is(same.changes[0]?.before?.type, "directory");
    t.true(same.changes[0]?.mount?.root.endsWith("/copy"));

    writeFileSync(join(copy, "kube-apiserver.yaml"), "evil\n");
    writeFileSync(join(copy, "evil.yaml"), "evil\n", { mode: 0o600 });
    const evil = runWith(node, bind, ...checked, manifests);
    t.deepEqual(evil.said.toSorted(), [
      `created ${manifests}/evil.yaml`,
      `modified ${manifest} content inode`,
      `mounted ${manifests}`,
    ]);
    t.deepEqual(runWith(node, bind, ...checked, "/etc/ssh").said, []);

    const plain = await node.run("check");
    t.is(plain.code, 0, plain.stdout);
  },
);

mounting("accept puts a mount into the baseline, and its end is a change then", async (t) => {
  using node = makeNode({ tree: "control-plane" });
  await node.capture();
  mkdirSync(node.beside("fresh"));
  const mount = `mount --bind '${node.beside("fresh")}' '${node.at("/opt/cni/bin")}'`;
  const reason = ["--reason", "test"];
  const accepted = runWith(node, mount, "accept", "/opt/cni/bin", ...reason);
  t.is(accepted.code, 0, accepted.stderr);
  t.regex(accepted.stdout, /accepted mounted \/opt\/cni\/bin \(/);
  t.deepEqual(runWith(node, mount, ...checked).said, []);
  const { stdout, code } = await node.run("check", "--format", "ndjson");
  t.is(code, 1);
  t.regex(stdout, /"path":"\/opt\/cni\/bin","change":"unmounted"/);
});
