import test from "ava";
import { trapsOf } from "../../../src/core/policy/traps.ts";
import type { OnNode } from "../../../src/core/policy/traps.ts";
import type { Rule } from "../../../src/core/policy/rule.ts";
import { ruleWith } from "../../helpers/rule.ts";

const node: Readonly<Record<string, OnNode>> = {
  "/usr/bin/tool": { kind: "file", name: "tool" },
  "/usr/bin/vi": { kind: "script" },
  "/bin/sh": { kind: "file", name: "dash" },
  "/usr/bin/python3": { kind: "file", name: "python3.11" },
  "/etc/app/file.conf": { kind: "file", name: "file.conf" },
  "/etc/app/cache": { kind: "directory" },
};
const watchesPrograms = ruleWith({ id: "test/programs", paths: ["/usr/bin/**"] });

/** The messages about these rules; the last rule watches every writer. */
const trapsIn = (...rules: readonly Partial<Rule>[]): readonly string[] =>
  trapsOf([...rules.map((one) => ruleWith({ paths: ["/etc/app/**"], ...one })), watchesPrograms], {
    onNode: (path) => node[path] ?? { kind: "missing" },
    isShipped: () => false,
  }).map(
    ({ message, isFault }) => `${isFault ? "fault " : ""}${message.replace(/^test\/\w+: /, "")}`,
  );

test("an exclusion of a directory alone is a trap, one of a file or of a whole tree is none", (t) => {
  t.deepEqual(trapsIn({ exclude: ["/etc/app/cache"] }), [
    "exclude /etc/app/cache excludes only that path itself; what is below it: /etc/app/cache/**",
  ]);
  t.is(trapsIn({ exclude: ["/etc/app/{cache,run}"] }).length, 1);
  for (const fine of ["/etc/app/cache/**", "/etc/app/file.conf", "/etc/app/*.tmp", "/srv/x"])
    t.deepEqual(trapsIn({ exclude: [fine] }), [], fine);
});

test("a path that holds the whole filesystem is a trap", (t) => {
  t.deepEqual(trapsIn({ paths: ["/**"] }), [
    "path /** watches the whole filesystem, /proc, /sys and every container",
  ]);
  t.deepEqual(trapsIn({ paths: ["/*/app/**"] }), []);
});

test("a writer that is missing, a script, a shell or an interpreter is a trap", (t) => {
  const of = (...writers: string[]): string => trapsIn({ writers }).join("\n");
  t.is(of("/usr/bin/tool"), "");
  t.regex(of("/usr/bin/tol"), /^writer \/usr\/bin\/tol does not exist on this node$/);
  t.regex(of("/usr/bin/vi"), /is a script/);
  t.regex(of("/bin/sh"), /is a shell or an interpreter/);
  t.regex(of("/usr/bin/python3"), /is a shell or an interpreter/);
  t.regex(of("/usr/bin/bash"), /is a shell or an interpreter/, "also where it is missing");
  t.deepEqual(trapsIn({ writers: ["/usr/bin/etcd"], containerWriters: "static" }), []);
});

test("a writer that no rule watches is a fault, under each of its names", (t) => {
  t.deepEqual(trapsIn({ writers: ["/opt/tool"], containerWriters: true }), [
    "fault writer /opt/tool: no rule watches it, so a replaced one is believed",
  ]);
  t.deepEqual(trapsIn({ writers: ["/bin/tool"], containerWriters: true }), []);
});

test("static pods that may change, or whose changes are only info, are a trap, also where another rule decides", (t) => {
  const paths = ["/etc/kubernetes/manifests/**"];
  t.is(trapsIn({ paths, class: "volatile" }).length, 1);
  t.is(trapsIn({ paths, severity: "info" }).length, 1);
  t.deepEqual(trapsIn({ paths }), []);
  t.is(trapsIn({ paths: ["/etc/kubernetes/**"], class: "volatile" }).length, 1);
  t.deepEqual(trapsIn({ paths: ["/etc/kubernetes/**"], class: "volatile" }, { paths }), []);
});
