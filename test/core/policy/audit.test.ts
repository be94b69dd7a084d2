import test from "ava";
import fc from "fast-check";
import { audit, isStricter } from "../../../src/core/policy/audit.ts";
import type { Match } from "../../../src/core/policy/rule.ts";
import { seen } from "../../helpers/judged.ts";
import { ruleWith } from "../../helpers/rule.ts";

const names = {
  user: (uid: number) => ({ 0: "root", 106: "etcd" })[uid],
  group: (gid: number) => ({ 0: "root", 109: "etcd" })[gid],
};

const matchOf = (
  glob: string,
  wants: { readonly mode?: string; readonly owner?: string },
): Match => ({
  glob,
  rule: ruleWith({ id: "kubeadm/it", paths: [glob], content: "secret", cis: ["1.1.11"], ...wants }),
});

const directory = (mode: number) => seen({ type: "directory", size: 0, mode });

interface Case {
  readonly title: string;
  readonly path?: string;
  readonly glob?: string;
  readonly seen: ReturnType<typeof seen>;
  readonly mode?: string;
  readonly owner?: string;
  /** "check: found expected passed" */
  readonly is: readonly string[];
}

const cases: readonly Case[] = [
  {
    title: "a file of exactly the mode passes",
    seen: seen({ mode: 0o600 }),
    mode: "0600",
    is: ["mode: 0600 0600 or stricter true"],
  },
  {
    title: "a stricter file passes",
    seen: seen({ mode: 0o400 }),
    mode: "0644",
    is: ["mode: 0400 0644 or stricter true"],
  },
  {
    title: "a lower number with a bit too many fails",
    seen: seen({ mode: 0o077 }),
    mode: "0600",
    is: ["mode: 0077 0600 or stricter false"],
  },
  {
    title: "a setuid bit fails",
    seen: seen({ mode: 0o4600 }),
    mode: "0600",
    is: ["mode: 4600 0600 or stricter false"],
  },
  {
    title: "a directory that a wildcard brings along is not held to the mode of its files",
    path: "/etc/kubernetes/manifests",
    glob: "/etc/kubernetes/manifests/**",
    seen: directory(0o755),
    mode: "0600",
    is: [],
  },
  {
    title: "a directory below it neither",
    path: "/etc/kubernetes/manifests/a",
    glob: "/etc/kubernetes/manifests/**",
    seen: directory(0o755),
    mode: "0600",
    is: [],
  },
  {
    title: "a directory that the rule names is",
    path: "/var/lib/etcd",
    glob: "/var/lib/etcd",
    seen: directory(0o755),
    mode: "0700",
    is: ["mode: 0755 0700 or stricter false"],
  },
  {
    title: "a directory that the rule names in braces is",
    path: "/var/lib/etcd/member/snap",
    glob: "/var/lib/etcd/member/{wal,snap}",
    seen: directory(0o700),
    mode: "0700",
    is: ["mode: 0700 0700 or stricter true"],
  },
  {
    title: "a socket has no mode of a file",
    seen: seen({ type: "socket" }),
    mode: "0600",
    is: [],
  },
  {
    title: "a symbolic link has neither mode nor owner",
    seen: seen({ type: "symlink", target: "/x", mode: 0o777, uid: 7 }),
    mode: "0600",
    owner: "root:root",
    is: [],
  },
  {
    title: "an owner is known by its name",
    seen: seen({ uid: 106, gid: 109 }),
    owner: "etcd:etcd",
    is: ["owner: etcd:etcd etcd:etcd true"],
  },
  {
    title: "an owner is known by its number",
    seen: seen({ uid: 999, gid: 0 }),
    owner: "999:root",
    is: ["owner: 999:root 999:root true"],
  },
  {
    title: "the group counts as well",
    seen: seen({ uid: 0, gid: 109 }),
    owner: "root:root",
    is: ["owner: root:etcd root:root false"],
  },
  {
    title: "both are reported of a directory that a wildcard brings along, but for the mode",
    path: "/etc/kubernetes/pki",
    glob: "/etc/kubernetes/pki/**",
    seen: { ...directory(0o755), uid: 1000 },
    mode: "0600",
    owner: "root:root",
    is: ["owner: 1000:root root:root false"],
  },
  { title: "a rule that wants nothing checks nothing", seen: seen(), is: [] },
];

for (const one of cases)
  test(one.title, (t) => {
    const path = one.path ?? "/etc/kubernetes/admin.conf";
    const wants = {
      ...(one.mode !== undefined && { mode: one.mode }),
      ...(one.owner !== undefined && { owner: one.owner }),
    };
    const match = matchOf(one.glob ?? path, wants);
    const results = audit(path, one.seen, { match, names });
    const reported = results.map(
      ({ check, found, expected, passed }) => `${check}: ${found} ${expected} ${passed}`,
    );
    t.deepEqual(reported, one.is);
    t.true(results.every(({ cis, rule }) => cis[0] === "1.1.11" && rule === "kubeadm/it"));
  });

test("root is the user and group 0, whatever the node's accounts call them", (t) => {
  const match = matchOf("/etc/passwd", { owner: "root:root" });
  const passes = (id: number, name: string | undefined): boolean | undefined => {
    const called = { user: () => name, group: () => name };
    return audit("/etc/passwd", seen({ uid: id, gid: id }), { match, names: called })[0]?.passed;
  };
  t.true(passes(0, undefined));
  t.true(passes(0, "toor"));
  t.false(passes(1000, "root"));
});

test("stricter means a subset of the bits, all twelve of them", (t) => {
  const mode = fc.nat({ max: 0o7777 });
  fc.assert(
    fc.property(mode, mode, (one, other) => {
      t.true(isStricter(one & other, other));
      t.is(isStricter(one, other), (one | other) === other);
    }),
  );
});
