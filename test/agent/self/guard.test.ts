import test from "ava";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packagesOf } from "../../../src/agent/self/packages.ts";
import { SelfGuard } from "../../../src/agent/self/guard.ts";
import { launcherFlags } from "../../../src/agent/self/launcher-flags.ts";
import type { JudgedChange } from "../../../src/core/change/change.ts";
import type { Actor, Hint, Step } from "../../../src/core/change/hint.ts";
import { makePlace } from "../../helpers/tree.ts";

const node = { dev: "8:1", ino: "7" };
const launched = ["/opt/node", "--optimize-for-size", "/opt/fim/dist/cli/main.js"];

/** What is reported when these hints are offered. */
function reportsOf(...hints: readonly Hint[]): readonly JudgedChange[] {
  const reported: JudgedChange[] = [];
  {
    using guard = new SelfGuard({
      stateDir: "/state",
      own: ["/opt/fim/dist", "/etc/fim.yaml"],
      isRuled: (path) => path === "/opt/fim/dist/ruled",
      ownProgram: {
        executable: node,
        modules: ["/opt/fim/dist", "/opt/fim/src"],
        flags: ["--optimize-for-size"],
        loadsOther: (pid) => pid === 666,
      },
      ownPid: 1,
      report: (change) => reported.push(change),
    });
    for (const hint of hints) guard.offer(hint);
  }
  return reported;
}

function touch(path: string, actor?: Actor, step: Step = "closed"): Hint {
  return { kind: "path", engine: "fanotify", at: 5, path, step, ...(actor && { actor }) };
}

const key = "/state/agent.key";
const other: Actor = { pid: 2, exe: "/usr/bin/tee", cmdline: ["tee", key] };

test("another process that touches the state, the program or its configuration is reported, at once critical", (t) => {
  for (const path of [key, "/state", "/opt/fim/dist/cli/main.js", "/etc/fim.yaml"]) {
    const [one] = reportsOf(touch(path, other));
    t.like(one, { rule: "agent/self", severity: "critical", verdict: "unexpected", actor: other });
    t.is(one?.change.path, path);
  }
});

test("the agent's own process and its own commands may use the state", (t) => {
  const own: Actor = { pid: 1, exe: "/opt/node" };
  const accept: Actor = { pid: 2, exe: "/opt/node", executable: node, cmdline: launched };
  t.deepEqual(reportsOf(touch(key, own), touch(key, accept)), []);
  const fromSources = [...launched.slice(0, 2), "/opt/fim/src/cli/main.ts"];
  t.deepEqual(reportsOf(touch(key, { ...accept, cmdline: fromSources })), []);
  t.is(reportsOf(touch("/etc/fim.yaml", accept)).length, 1);
});

test("an own command whose environment loads other code is reported", (t) => {
  const accept: Actor = { pid: 666, exe: "/opt/node", executable: node, cmdline: launched };
  t.is(reportsOf(touch(key, accept)).length, 1);
});

test("the flags of the launcher are the flags that a command of ours may have", (t) => {
  const launcher = readFileSync(new URL("../../../bin/launch.sh", import.meta.url), "utf8");
  const [, flags = ""] =
    /^exec "\$node" (.*) "\$main" "\$@"$/m.exec(launcher.replaceAll("\\\n", "")) ?? [];
  t.deepEqual(flags.split(/\s+/), [...launcherFlags]);
});

const pretenders: readonly (readonly [what: string, actor: Partial<Actor>])[] = [
  ["another file at the interpreter's path", { executable: { dev: "8:1", ino: "8" } }],
  ["no process knows which file", {}],
  ["another script", { executable: node, cmdline: ["/opt/node", "/tmp/evil.js"] }],
  ["code on the command line", { executable: node, cmdline: ["/opt/node", "-e", "evil"] }],
  [
    "our script with a module before it",
    {
      executable: node,
      cmdline: ["/opt/node", "--import=/tmp/evil.js", "/opt/fim/dist/cli/main.js"],
    },
  ],
];

for (const [what, actor] of pretenders)
  test(`who only looks like the agent's own command is reported: ${what}`, (t) => {
    const pretender = { pid: 2, exe: "/opt/node", cmdline: launched, ...actor };
    t.is(reportsOf(touch(key, pretender)).length, 1);
  });

test("everything that the program loads is its own: each package that it depends on, and what says which they are", (t) => {
  using place = makePlace();
  const write = (path: string, parts: Readonly<Record<string, unknown>>): void => {
    mkdirSync(place.at(path), { recursive: true });
    writeFileSync(place.at(`${path}/package.json`), JSON.stringify(parts));
  };
  write("node_modules/fim", {
    dependencies: { near: "1", far: "1" },
    optionalDependencies: { absent: "1" },
    devDependencies: { tool: "1" },
  });
  write("node_modules/fim/node_modules/near", { dependencies: { deep: "1" } });
  write("node_modules/far", { dependencies: { near: "2", fim: "1" } });
  write("node_modules/near", { optionalDependencies: { "@scope/native": "1" } });
  write("node_modules/deep", {});
  write("node_modules/@scope/native", {});
  write("node_modules/tool", {});
  t.deepEqual(packagesOf(place.at("node_modules/fim")).toSorted(), [
    place.at("node_modules/@scope/native"),
    place.at("node_modules/deep"),
    place.at("node_modules/far"),
    place.at("node_modules/fim/node_modules/near"),
    place.at("node_modules/near"),
  ]);
  const home = join(import.meta.dirname, "../../..");
  t.true(packagesOf(home).includes(join(home, "node_modules/koffi")));
  t.false(packagesOf(home).includes(join(home, "node_modules/ava")));
});

test("what a rule watches is left to that rule", (t) => {
  t.deepEqual(reportsOf(touch("/opt/fim/dist/ruled", other)), []);
});
