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
    title: "a directory that a wildcard brings along may be searched where its files may be read",
    path: "/etc/kubernetes/manifests",
    glob: "/etc/kubernetes/manifests/**",
    seen: directory(0o755),
    mode: "0644",
    is: ["mode: 0755 0755 or stricter true"],
  },
  {
    title: "a directory below it that others may read fails if they may not read its files",
    path: "/etc/kubernetes/manifests/a",
    glob: "/etc/kubernetes/manifests/**",
    seen: directory(0o755),
    mode: "0600",
    is: ["mode: 0755 0700 or stricter false"],
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
    title: "a directory that the rule names in braces is held to exactly its mode",
    path: "/var/lib/etcd/member/snap",
    glob: "/var/lib/etcd/member/{wal,snap}",
    seen: directory(0o700),
    mode: "0500",
    is: ["mode: 0700 0500 or stricter false"],
  },
  {
    title: "a file below a wildcard needs no search bit",
    path: "/etc/kubernetes/manifests/a",
    glob: "/etc/kubernetes/manifests/**",
    seen: seen({ mode: 0o700 }),
    mode: "0600",
    is: ["mode: 0700 0600 or stricter false"],
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
    title: "mode and owner are reported of a directory that a wildcard brings along",
    path: "/etc/kubernetes/pki",
    glob: "/etc/kubernetes/pki/**",
    seen: { ...directory(0o755), uid: 1000 },
    mode: "0600",
    owner: "root:root",
    is: ["mode: 0755 0700 or stricter false", "owner: 1000:root root:root false"],
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
    t.true(
      results.every(
        ({ cis, check, rule }) =>
          (cis[0] === "1.1.11" || check === "owner") && rule === "kubeadm/it",
      ),
    );
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

const idsAt = (path: string, cis: readonly string[]): readonly string[] => {
  const rule = ruleWith({ id: "kubeadm/it", paths: [path], mode: "0600", owner: "root:root", cis });
  const match = { glob: path, rule };
  return audit(path, seen(), { match, names }).map((one) => `${one.check} ${one.cis.join(" ")}`);
};

test("each line has one id of the benchmark, of that file and that attribute", (t) => {
  const manifests = Array.from({ length: 8 }, (_, at) => `1.1.${at + 1}`);
  const at = (name: string) => idsAt(`/etc/kubernetes/manifests/${name}`, manifests);
  t.deepEqual(at("kube-apiserver.yaml"), ["mode 1.1.1", "owner 1.1.2"]);
  t.deepEqual(at("kube-controller-manager.yaml"), ["mode 1.1.3", "owner 1.1.4"]);
  t.deepEqual(at("kube-scheduler.yaml"), ["mode 1.1.5", "owner 1.1.6"]);
  t.deepEqual(at("etcd.yaml"), ["mode 1.1.7", "owner 1.1.8"]);
  t.deepEqual(at("other.yaml"), ["mode ", "owner "]);
  t.deepEqual(idsAt("/etc/kubernetes/pki/ca.crt", ["1.1.19", "1.1.20", "4.1.7", "4.1.8"]), [
    "mode 1.1.20",
    "mode 4.1.7",
    "owner 1.1.19",
    "owner 4.1.8",
  ]);
  t.deepEqual(idsAt("/etc/kubernetes/pki/ca.key", ["1.1.19", "1.1.21"]), [
    "mode 1.1.21",
    "owner 1.1.19",
  ]);
});

const fixes = (path: string, given: ReturnType<typeof seen>): readonly unknown[] => {
  const match = matchOf("/srv/**", { mode: "0640", owner: "etcd:etcd" });
  return audit(path, given, { match, names }).map(({ fix }) => fix);
};

test("a failed check says the command that makes it pass, a passed one none", (t) => {
  const strange = seen({ mode: 0o4666, uid: 7, gid: 7 });
  t.deepEqual(fixes("/srv/a", strange), ["chmod 0640 /srv/a", "chown etcd:etcd /srv/a"]);
  t.deepEqual(fixes("/srv/d", { ...directory(0o2777), uid: 106, gid: 109 }), [
    "chmod 00750 /srv/d",
    undefined,
  ]);
  t.is(fixes("/srv/$(reboot) it's", strange)[0], String.raw`chmod 0640 '/srv/$(reboot) it'\''s'`);
});
