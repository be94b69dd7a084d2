import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isAtLeast } from "../../src/core/policy/rule.ts";
import type { Alert } from "../helpers/node.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { fanotifyMissing } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";

const scenario = needing(fanotifyMissing ?? missingProgram("dpkg", "dpkg-deb"), "serial");

/** A package with three configuration files, as dpkg-deb(1) builds it. */
function buildPackage(dir: string, text: string): string {
  const names = ["/etc/pam.d/demo", "/etc/cron.d/demo", "/etc/demo.conf"];
  for (const path of ["DEBIAN", "etc/pam.d", "etc/cron.d"])
    mkdirSync(join(dir, path), { recursive: true });
  for (const name of names) writeFileSync(join(dir, name), `${text} ${name}\n`);
  writeFileSync(join(dir, "DEBIAN/conffiles"), `${names.join("\n")}\n`);
  const control = ["Package: demo", "Version: 1", "Architecture: all", "Maintainer: t <t@t>"];
  writeFileSync(join(dir, "DEBIAN/control"), [...control, "Description: demo", ""].join("\n"));
  chmodSync(join(dir, "DEBIAN"), 0o755);
  execFileSync("dpkg-deb", ["--build", "--root-owner-group", dir, `${dir}.deb`], {
    stdio: "ignore",
  });
  return `${dir}.deb`;
}

function install(root: string, deb: string): void {
  const admin = join(root, "var/lib/dpkg");
  for (const dir of ["info", "updates"]) mkdirSync(join(admin, dir), { recursive: true });
  for (const file of ["status", "available"]) writeFileSync(join(admin, file), "", { flag: "a" });
  const how = ["--root", root, "--force-script-chrootless", "--force-confnew"];
  execFileSync("dpkg", [...how, "--install", deb], { stdio: "pipe" });
}

const loud = ({ severity }: Alert): boolean => isAtLeast(severity, "medium");
const inWords = (alerts: readonly Alert[]) =>
  alerts.map(({ severity, change, path }) => `${severity} ${change} ${path}`);

async function startWithPackage(deb: string): Promise<RunningNode> {
  return await startNode({
    isMachine: true,
    rules: ({ at }) => [
      { id: "etc", paths: [at("/etc/**")], severity: "high" },
      { id: "dpkg", paths: ["/usr/bin/dpkg"], severity: "high" },
    ],
    prepare: ({ at }) => install(at(""), deb),
    watch: { quickSweepEvery: "1h" },
  });
}

/** Awaits the report of a change that follows everything so far. */
async function mark(node: RunningNode): Promise<void> {
  node.write("/etc/mark", String(node.alerts().length));
  await node.alerted((one) => one.path === node.at("/etc/mark"));
}

scenario("a package that is installed again raises no alarm for its temporary names", async (t) => {
  using place = makePlace();
  const deb = buildPackage(place.at("demo"), "as it was");
  await using node = await startWithPackage(deb);
  install(node.at(""), deb);
  await mark(node);
  const ours = node.alerts().filter(({ path }) => path !== node.at("/etc/mark"));
  t.deepEqual(inWords(ours.filter(loud)), []);
  t.true(new Set(ours.map(({ incident }) => incident)).size <= 1, inWords(ours).join("\n"));

  const [file, copy] = [node.at("/etc/pam.d/demo"), node.at("/etc/pam.d/demo.dpkg-new")];
  execFileSync("cp", ["-p", file, copy]);
  const made = await node.alerted((one) => one.path === copy && one.change === "created");
  t.like(made, { severity: "info", verdict: "unexpected" });
  t.deepEqual(made.meaning, [`a copy of ${file} under a temporary name`]);
  const { stdout } = await node.run("check", "--format", "ndjson");
  t.regex(stdout, /demo.dpkg-new","change":"created".*"severity":"high"/);
  rmSync(copy);
  const removed = await node.alerted((one) => one.path === copy && one.change === "deleted");
  t.is(removed.severity, "info");
  t.deepEqual(inWords(node.alerts().filter(loud)), [`high created ${node.at("/etc/mark")}`]);
  writeFileSync(copy, "evil\n");
  await node.alerted((one) => one.path === copy && one.severity === "high");
});

scenario("a copy of a static pod's manifest is no temporary file, whatever its name", async (t) => {
  await using node = await startNode({ tree: "control-plane" });
  const path = "/etc/kubernetes/manifests/kube-apiserver.yaml";
  execFileSync("cp", ["-p", node.at(path), node.at(`${path}~`)]);
  const alert = await node.alerted((one) => one.path === `${path}~`);
  t.is(alert.severity, "critical");
});

scenario(
  "what a file's own writer prepares beside it raises no alarm, what others put there does",
  async (t) => {
    await using node = await startNode({
      isMachine: true,
      rules: ({ at }) => [
        { id: "etc", paths: [at("/etc/**")], severity: "high" },
        { id: "cache", paths: [at("/etc/cache")], severity: "low", writers: ["/usr/bin/tee"] },
        { id: "tee", paths: ["/usr/bin/tee"], severity: "high" },
      ],
      prepare: ({ write }) => {
        write("/etc/cache", "as it was");
        write("/etc/other", "as it was");
      },
      watch: { quickSweepEvery: "1h" },
    });
    const tee = (path: string): void => {
      execFileSync("tee", [node.at(path)], { input: "more\n", stdio: ["pipe", "ignore", "pipe"] });
    };
    const created = async (path: string): Promise<Alert> =>
      await node.alerted((one) => one.path === node.at(path) && one.change === "created");
    tee("/etc/cache~");
    const prepared = await created("/etc/cache~");
    t.like(prepared, { severity: "info", verdict: "unexpected" });
    t.deepEqual(prepared.meaning, [
      `a program that may write ${node.at("/etc/cache")} prepares it under a temporary name`,
    ]);
    const { stdout } = await node.run("check", "--format", "ndjson");
    t.regex(
      stdout,
      /cache~","change":"created".*"severity":"high"/,
      "where it stays, check says so",
    );
    tee("/etc/other~");
    t.is((await created("/etc/other~")).severity, "high", "no writer of this file");
    execFileSync("cp", [node.at("/etc/other"), node.at("/etc/cache~")]);
    const changed = await node.alerted(
      (one) => one.path === node.at("/etc/cache~") && one.change === "modified",
    );
    t.is(changed.severity, "high", "another program");
  },
);

scenario("a package with other files is reported, as one incident", async (t) => {
  using place = makePlace();
  const [old, fresh] = ["as it was", "otherwise"].map((text) =>
    buildPackage(place.at(text.replaceAll(" ", "-")), text),
  ) as [string, string];
  await using node = await startWithPackage(old);
  install(node.at(""), fresh);
  const path = node.at("/etc/pam.d/demo");
  const ours = await until(() => {
    const all = node.alerts().filter(loud);
    return all.some((one) => one.path === path && one.change !== "created") ? all : undefined;
  }, 30_000);
  t.is(readFileSync(path, "utf8"), "otherwise /etc/pam.d/demo\n");
  const [first] = ours;
  t.is(first?.event["class_uid"], 1001);
  t.like(first?.event, { metadata: { correlation_uid: first?.incident } });
  t.is(new Set(ours.map(({ incident }) => incident)).size, 1, inWords(ours).join("\n"));
});

scenario("each copy of a tree is an incident of its own", async (t) => {
  await using node = await startNode({
    rules: { "/etc/**": "high" },
    prepare: ({ write }) => {
      for (const name of ["a", "b", "c"]) write(`/src/${name}`, name);
      write("/etc/first", "x");
    },
    watch: { quickSweepEvery: "1s" },
  });
  for (const to of ["one", "two"])
    execFileSync("cp", ["-a", node.at("/src"), node.at(`/etc/${to}`)]);
  const isThere = (path: string) => node.alerts().some((one) => one.path === path);
  await until(() => ["one/c", "two/c"].every((path) => isThere(`/etc/${path}`)), 30_000);
  const of = (to: string) =>
    new Set(
      node
        .alerts()
        .filter(({ path }) => path.startsWith(`/etc/${to}`))
        .map(({ incident }) => incident),
    );
  t.is(of("one").size, 1);
  t.is(of("two").size, 1);
  t.notDeepEqual(of("one"), of("two"));
  t.false(of("one").has(undefined));
});
