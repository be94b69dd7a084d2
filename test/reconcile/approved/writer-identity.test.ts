import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import test from "ava";
import {
  isApprovedExecutable,
  isAllowedWriter,
  isInStaticPod,
} from "../../../src/reconcile/approved/writer-identity.ts";
import type { Approved } from "../../../src/reconcile/approved/writer-identity.ts";
import type { Actor } from "../../../src/core/change/hint.ts";
import type { Observation } from "../../../src/core/change/observation.ts";
import { compileRules } from "../../../src/core/policy/rules.ts";
import type { Rule } from "../../../src/core/policy/rule.ts";
import { resolveInRoot } from "../../../src/linux/resolve.ts";
import { Observer } from "../../../src/observe/observer.ts";
import { makePlace } from "../../helpers/tree.ts";
import { ruleWith } from "../../helpers/rule.ts";

interface House extends Disposable {
  readonly approved: Approved;
  readonly root: string;
  readonly at: (path: string) => string;
  /** What is at these paths now is the baseline, and what was last seen. */
  approve(...paths: readonly string[]): void;
  /** The agent has looked at these paths. */
  look(...paths: readonly string[]): void;
  /** Who executed this. */
  actor(exe: string, file?: string): Actor;
}

const rule = (paths: readonly string[]): Rule => ruleWith({ id: "test/programs", paths });

/** A merged-usr node: /bin leads to /usr/bin, and /usr/bin/awk through /etc/alternatives to mawk. */
function makeHouse(watched: readonly string[]): House {
  const place = makePlace();
  const at = (path: string) => place.at(`root${path}`);
  for (const dir of ["/usr/bin", "/etc/alternatives", "/opt/evil"])
    mkdirSync(at(dir), { recursive: true });
  for (const name of ["sed", "mawk", "bash"])
    writeFileSync(at(`/usr/bin/${name}`), name, { mode: 0o644 });
  symlinkSync("usr/bin", at("/bin"));
  symlinkSync("/etc/alternatives/awk", at("/usr/bin/awk"));
  symlinkSync("/usr/bin/mawk", at("/etc/alternatives/awk"));
  const root = place.at("root");
  const observer = new Observer(root);
  const baseline = new Map<string, Observation>();
  const current = new Map<string, Observation>();
  const look = (...paths: readonly string[]): void => {
    for (const path of paths) {
      const seen = observer.observe(path, { hash: true });
      if (seen) current.set(path, seen);
      else current.delete(path);
    }
  };
  return {
    root,
    at,
    look,
    approved: {
      node: { root, index: compileRules([rule(watched)]), observer },
      state: { baseline: { rows: baseline }, approvals: { get: () => undefined }, current },
    },
    approve(...paths) {
      look(...paths);
      for (const path of paths) {
        const seen = current.get(path);
        if (seen) baseline.set(path, seen);
      }
    },
    actor(exe, file = exe) {
      const { dev, ino } = resolveInRoot(root, file) ?? { dev: "", ino: "" };
      return { pid: 7, exe, executable: { dev, ino }, cgroup: "/" };
    },
    [Symbol.dispose]() {
      observer[Symbol.dispose]();
      place[Symbol.dispose]();
    },
  };
}

const sed = "/usr/bin/sed";
const programs = ["/usr/bin/**"];

test("the node's own program is genuine while it is as it was approved", (t) => {
  using house = makeHouse(programs);
  house.approve(sed);
  t.true(isApprovedExecutable(house.actor(sed), house.approved));
});

test("a program that no rule watches has nothing to be held against", (t) => {
  using house = makeHouse(["/etc/**"]);
  t.true(isApprovedExecutable(house.actor(sed), house.approved));
});

const altered: readonly (readonly [what: string, alter: (house: House) => void])[] = [
  ["was written to", ({ at }) => appendFileSync(at(sed), "x")],
  [
    "was replaced",
    ({ at }) => {
      copyFileSync(at("/usr/bin/bash"), at("/usr/bin/new"));
      renameSync(at("/usr/bin/new"), at(sed));
    },
  ],
  [
    "was written to, its times put back",
    ({ at }) => {
      const { atime, mtime } = statSync(at(sed));
      writeFileSync(at(sed), "ded");
      utimesSync(at(sed), atime, mtime);
    },
  ],
];

for (const [what, alter] of altered) {
  test(`a program that ${what} is not genuine, before and after the agent has looked`, (t) => {
    using house = makeHouse(programs);
    house.approve(sed);
    const before = statSync(house.at(sed), { bigint: true }).ctimeNs;
    alter(house);
    // Before Linux 6.13 two changes within four milliseconds have the same time.
    while (statSync(house.at(sed), { bigint: true }).ctimeNs === before)
      chmodSync(house.at(sed), 0o644);
    t.false(isApprovedExecutable(house.actor(sed), house.approved));
    house.look(sed);
    t.false(isApprovedExecutable(house.actor(sed), house.approved));
    house.approve(sed);
    t.true(isApprovedExecutable(house.actor(sed), house.approved));
  });
}

test("a program that was not there when the baseline was captured is not genuine", (t) => {
  using house = makeHouse(programs);
  t.false(isApprovedExecutable(house.actor(sed), house.approved));
  house.look(sed);
  t.false(isApprovedExecutable(house.actor(sed), house.approved));
});

test("another file of that name is not the node's own", (t) => {
  using house = makeHouse(programs);
  house.approve(sed);
  t.false(isApprovedExecutable(house.actor(sed, "/usr/bin/bash"), house.approved));
  const { executable, ...actor } = house.actor(sed);
  const elsewhere = { dev: "7:7", ino: executable?.ino ?? "" };
  t.false(isApprovedExecutable({ ...actor, executable: elsewhere }, house.approved));
  const gone = house.actor(sed);
  rmSync(house.at(sed));
  t.false(isApprovedExecutable(gone, house.approved));
});

test("who is not known well enough is neither genuine nor not", (t) => {
  using house = makeHouse(programs);
  house.approve(sed);
  const { executable: _file, ...nameOnly } = house.actor(sed);
  const { cgroup: _cgroup, ...anywhere } = house.actor(sed);
  const { exe: _exe, ...fileOnly } = house.actor(sed);
  for (const actor of [nameOnly, anywhere, fileOnly, { pid: 7 }])
    t.is(isApprovedExecutable(actor, house.approved), undefined);
});

const listings: readonly (readonly [writer: string, exe: string, listed: boolean])[] = [
  [sed, sed, true],
  ["/bin/sed", sed, true],
  ["/bin/../bin/./sed", sed, true],
  ["/usr/bin/awk", "/usr/bin/mawk", true],
  ["/bin/awk", "/usr/bin/mawk", true],
  ["/bin/bash", sed, false],
  ["/bin/none", sed, false],
  ["/usr/bin", sed, false],
  ["sed", sed, false],
  [sed, "sed", false],
  [sed, "./sed", false],
  [sed, "/opt/evil/sed", false],
];

test("a writer is listed under its own name and under every name that leads to it", (t) => {
  using house = makeHouse(["/etc/**", ...programs]);
  house.approve("/etc/alternatives/awk", "/usr/bin/awk", sed, "/usr/bin/mawk");
  for (const [writer, exe, listed] of listings)
    t.is(isAllowedWriter(house.actor(exe), [writer], house.approved), listed, `${writer} ${exe}`);
  t.true(isAllowedWriter(house.actor(sed), ["/usr/bin/kubeadm", "/bin/sed"], house.approved));
  t.false(isAllowedWriter(house.actor(sed), [], house.approved));
  t.false(isAllowedWriter({ pid: 7 }, [sed], house.approved));
});

test("a name by which a process was called counts as what it leads to, when nothing better is known", (t) => {
  using house = makeHouse(programs);
  house.approve(sed);
  const actor = { pid: 7, exe: "/bin/sed" };
  t.true(isAllowedWriter(actor, [sed], house.approved));
  t.is(isApprovedExecutable(actor, house.approved), undefined);
  t.false(isAllowedWriter({ pid: 7, exe: "/bin/bash" }, [sed], house.approved));
});

test("a name that was laid to another program does not list it", (t) => {
  using house = makeHouse(["/usr/bin/**"]);
  house.approve(sed, "/usr/bin/mawk", "/usr/bin/bash", "/usr/bin/awk");
  const lists = (writer: string) =>
    isAllowedWriter(house.actor("/usr/bin/bash"), [writer], house.approved);
  const actor = house.actor("/usr/bin/bash");
  t.true(isApprovedExecutable(actor, house.approved));
  t.false(lists(sed));
  rmSync(house.at(sed));
  symlinkSync("bash", house.at(sed));
  symlinkSync("bash", house.at("/usr/bin/rpm"));
  rmSync(house.at("/usr/bin/awk"));
  symlinkSync("bash", house.at("/usr/bin/awk"));
  for (const writer of [sed, "/bin/sed", "/usr/bin/rpm", "/usr/bin/awk"]) {
    t.false(lists(writer), writer);
    house.look(writer);
    t.false(lists(writer), writer);
  }
});

test("names that lead in a circle list nothing", (t) => {
  using house = makeHouse([]);
  symlinkSync("two", house.at("/one"));
  symlinkSync("one", house.at("/two"));
  t.false(isAllowedWriter(house.actor(sed), ["/one", "/two"], house.approved));
});

const staticUid = "0123456789abcdef0123456789abcdef";
const manifest = "/etc/kubernetes/manifests/etcd.yaml";

function withManifest(house: House) {
  mkdirSync(house.at("/etc/kubernetes/manifests"), { recursive: true });
  writeFileSync(house.at(manifest), "kind: Pod\n");
  house.approve(manifest);
  const rows = house.approved.state.baseline.rows;
  const tree = {
    get: (path: string) => rows.get(path),
    below: (dir: string) => (manifest.startsWith(`${dir}/`) ? [{ path: manifest }] : []),
  };
  const { node, state } = house.approved;
  return { node, state: { ...state, baseline: { rows: tree } } };
}

test("a container is in a static pod by the kubelet's own uid and an approved manifest", (t) => {
  using house = makeHouse(["/etc/**"]);
  const approved = withManifest(house);
  const container = { id: "ab".repeat(32), podUid: staticUid, pod: "etcd-cp-1" };
  t.true(isInStaticPod(container, approved));
  t.true(isInStaticPod({ id: container.id, podUid: staticUid }, approved), "no name is known yet");
  t.false(isInStaticPod({ ...container, pod: "other-cp-1" }, approved));
  t.false(isInStaticPod({ id: container.id, pod: "etcd-cp-1" }, approved));
  const ofApiServer = { ...container, podUid: "01234567-89ab-cdef-0123-456789abcdef" };
  t.false(isInStaticPod(ofApiServer, approved));
  appendFileSync(house.at(manifest), "hostPID: true\n");
  house.look(manifest);
  t.false(isInStaticPod(container, approved), "the manifest is no longer as approved");
});
