import test from "ava";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { makeNode, writePolicy } from "../helpers/node.ts";
import type { PartialRule, TestNode } from "../helpers/node.ts";

function nodeWith(rule: Partial<PartialRule> & { readonly exclude?: readonly string[] }): TestNode {
  const node = makeNode({ rules: { "/srv/**": "high" } });
  for (const program of ["tool", "bash"]) {
    node.write(`/usr/bin/${program}`, "\x7fELF");
    chmodSync(node.at(`/usr/bin/${program}`), 0o755);
  }
  const rules = [
    { id: "app", paths: ["/etc/app/**"], severity: "high", ...rule },
    { id: "programs", paths: ["/usr/bin/**"], severity: "high" },
  ] as const;
  writePolicy(node.policy, rules);
  return node;
}

test("policy lint warns of a trap on stderr, with file and line, and stays 0", async (t) => {
  using node = nodeWith({
    writers: ["/usr/bin/bash", "/usr/bin/tol"],
    exclude: ["/etc/app/cache"],
  });
  node.write("/etc/app/cache/file", "");
  for (const args of [
    ["policy", "lint"],
    ["policy", "lint", node.policy],
  ]) {
    const { code, stdout, stderr } = await node.run(...args);
    t.is(code, 0);
    t.regex(stdout, /^OK: /);
    const line = `fim-agent: warning: ${node.policy}:1: test/app: `;
    t.deepEqual(stderr.trim().split("\n"), [
      `${line}exclude /etc/app/cache excludes only that path itself; what is below it: /etc/app/cache/**`,
      `${line}writer /usr/bin/bash is a shell or an interpreter: any command may write with it`,
      `${line}writer /usr/bin/tol does not exist on this node`,
    ]);
  }
  const { stdout } = await node.run("policy", "lint", "--format", "json");
  t.is((JSON.parse(stdout) as { warnings: string[] }[])[0]?.warnings.length, 3);
});

test("policy lint refuses a writer that no rule watches", async (t) => {
  using node = nodeWith({ writers: ["/opt/tool"] });
  node.write("/opt/tool", "\x7fELF");
  const { code, stderr } = await node.run("policy", "lint");
  t.is(code, 2);
  t.regex(stderr, /policy\.yaml:1: test\/app: writer \/opt\/tool: no rule watches it/);
});

for (const policy of ["linux", "kubeadm"])
  test(`the shipped policy ${policy} passes policy lint without a warning`, async (t) => {
    using node = makeNode({ policy });
    const { code, stderr } = await node.run("policy", "lint");
    t.is(stderr, "");
    t.is(code, 0);
  });

test("policy explain names the rule of a path that leads through a link", async (t) => {
  using node = makeNode({ policy: "linux" });
  mkdirSync(node.at("/usr/lib/systemd"), { recursive: true });
  mkdirSync(node.at("/run"));
  symlinkSync("usr/lib", node.at("/lib"));
  symlinkSync("/run", node.at("/var-run"));
  for (const [path, real, rule] of [
    [
      "/lib/systemd/system/new/x.conf",
      "/usr/lib/systemd/system/new/x.conf",
      "systemd-vendor-units",
    ],
    ["/var-run/udev/rules.d/x", "/run/udev/rules.d/x", "event-scripts"],
  ] as const) {
    const { code, stdout, stderr } = await node.run("policy", "explain", path);
    t.is(code, 0);
    t.true(stdout.startsWith(`${real}: linux/${rule}\n`), stdout);
    t.is(stderr, `${path} leads through a link to ${real}\n`);
  }
});
