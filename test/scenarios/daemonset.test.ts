import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { once } from "node:events";
import type { Alert, Ground } from "../helpers/node.ts";
import { fanotifyMissing, programOf, wrap } from "../helpers/processes.ts";
import { startNode } from "../helpers/running-node.ts";
import type { RunningNode } from "../helpers/running-node.ts";
import { needing } from "../helpers/needs.ts";

const possible = needing(fanotifyMissing, "serial");
const runc = ["/usr/sbin/runc", "/usr/bin/runc"].find((file) => existsSync(file));
const noRunc = runc === undefined ? "runc is missing: apt-get install runc" : undefined;
const withRunc = needing(fanotifyMissing ?? noRunc, "serial");

const seenAt = "/mnt/host";
const manifests = "/etc/kubernetes/manifests";
const apiserver = `${manifests}/kube-apiserver.yaml`;
const pki = "/etc/kubernetes/pki";

/** What a pod of the DaemonSet gets: the node's root at /mnt/host, read-only, with the node's later mounts. */
const inPod = [
  "exec unshare --mount --propagation slave sh -ec '",
  "mount -t tmpfs tmpfs /mnt; mkdir /mnt/host; mount --rbind / /mnt/host",
  "mount --make-rslave /mnt/host; mount -o remount,ro,bind /mnt/host",
  'mount -o remount,ro,bind "/mnt/host$TREE"; exec AGENT "$@"\' sh "$@"',
].join("\n");

/** The node is this machine, seen by the agent as a pod sees it; its tree is a shared mount as "/" is under systemd. */
async function startPod(): Promise<RunningNode> {
  let tree: string | undefined;
  const unmount = (): void => {
    if (tree !== undefined) execFileSync("umount", ["-R", tree]);
    tree = undefined;
  };
  try {
    const node = await startNode({
      isMachine: true,
      seenAt,
      rules: (ground) => [
        {
          id: "manifests",
          paths: [ground.called(`${manifests}/**`)],
          severity: "critical",
        },
        { id: "pki", paths: [ground.called(`${pki}/**`)], severity: "high" },
      ],
      prepare: (ground) => {
        tree = ground.at("");
        execFileSync("mount", ["--bind", tree, tree]);
        execFileSync("mount", ["--make-shared", tree]);
        ground.write(apiserver, "kind: Pod\n");
        ground.write(`${manifests}/etcd.yaml`, "kind: Pod\n");
        ground.write(`${pki}/ca.crt`, "certificate\n");
        ground.write(`${pki}/etcd/ca.crt`, "certificate\n");
        ground.write("/outside/evil.yaml", "kind: Evil\n");
        ground.write("/outside/tree/ca.crt", "another\n");
      },
      program: (ground) =>
        wrap(join(ground.dir, "pod"), inPod.replace("$TREE", ground.at("")).replace(/;\n/g, "\n")),
    });
    return {
      ...node,
      [Symbol.asyncDispose]: async () => {
        await node.watching[Symbol.asyncDispose]();
        unmount();
        await node[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    unmount();
    throw error;
  }
}

const shell = (command: string, ...args: readonly string[]): number => {
  const line = `${command}\necho $$`;
  return Number(execFileSync("sh", ["-ec", line, "sh", ...args], { encoding: "utf8" }));
};

const sha256 = (file: string): string =>
  createHash("sha256").update(readFileSync(file)).digest("hex");

interface Case {
  readonly title: string;
  readonly path: string;
  readonly command: string;
  readonly expected: Partial<Alert>;
}

const cases: readonly Case[] = [
  {
    title: "a write",
    path: apiserver,
    command: 'echo "image: evil" >> "$1"',
    expected: { change: "modified", fields: ["content"], severity: "critical" },
  },
  {
    title: "a file that is made",
    path: `${manifests}/evil.yaml`,
    command: 'echo "kind: Evil" > "$1"',
    expected: { change: "created", severity: "critical" },
  },
  {
    title: "a save by way of a temporary file",
    path: `${manifests}/etcd.yaml`,
    command: 'echo "kind: Other" > "$1.tmp"; mv "$1.tmp" "$1"',
    expected: { change: "modified", fields: ["content", "inode"] },
  },
  {
    title: "a directory that is made",
    path: `${pki}/new`,
    command: 'mkdir "$1"',
    expected: { change: "created", severity: "high" },
  },
  {
    title: "a file that is made in it",
    path: `${pki}/new/evil.key`,
    command: 'echo key > "$1"',
    expected: { change: "created", severity: "high" },
  },
  {
    title: "a removal",
    path: `${pki}/etcd/ca.crt`,
    command: 'exec 3<&-; rm "$1"',
    expected: { change: "deleted", severity: "high" },
  },
];

possible(
  `an agent that sees its node at /mnt/host alone reports what is done on the node, by whom, under the node's own names`,
  async (t) => {
    await using node = await startPod();
    for (const { title, path, command, expected } of cases) {
      const before = node.alerts().length;
      const pid = shell(command, node.at(path));
      const alert = await node.alerted((one) => one.path === node.called(path), before);
      t.like(alert, { ...expected, engine: "fanotify", verdict: "unexpected" }, title);
      if (alert.change === "modified") t.is(alert.actor?.uid, 0, title);
      const isItself = alert.actor?.pid === pid;
      const isChild = ["mv", "rm", "mkdir"].includes(alert.actor?.comm ?? "");
      t.true(isItself || isChild, `${title}: ${JSON.stringify(alert.actor)} is not ${pid}`);
      if (alert.after?.type === "file") t.is(alert.after.sha256, sha256(node.at(path)), title);
    }
    t.false(
      JSON.stringify(node.receiver.accepted().map(({ data }) => data)).includes(seenAt),
      "the place where the agent sees the node is reported",
    );
    t.is(await node.watching.stop(), 0);
  },
);

possible(
  `what is mounted over a watched file is reported, looked at and watched, and so is what shows again`,
  async (t) => {
    await using node = await startPod();
    const path = node.called(apiserver);
    const [file, evil] = [node.at(apiserver), node.at("/outside/evil.yaml")];
    const good = sha256(file);
    execFileSync("mount", ["--bind", evil, file]);
    const mounted = await node.alerted((one) => one.path === path && one.change === "mounted");
    t.is(mounted.severity, "critical");
    t.is(mounted.engine, "mounts");
    t.true(mounted.mount?.root.endsWith("/outside/evil.yaml"), JSON.stringify(mounted.mount));
    t.true(mounted.mount?.options.includes("rw"), JSON.stringify(mounted.mount));
    t.truthy(mounted.mount?.source);
    const shadowed = await node.alerted((one) => one.path === path && one.change === "modified");
    t.is(shadowed.before?.sha256, good);
    t.is(shadowed.after?.sha256, sha256(evil));

    let before = node.alerts().length;
    const pid = shell('echo more >> "$1"', evil);
    const written = await node.alerted((one) => one.path === path, before);
    t.is(written.change, "modified");
    t.is(written.engine, "fanotify");
    t.is(written.actor?.pid, pid);
    t.is(written.after?.sha256, sha256(evil));
    t.deepEqual(written.meaning, [
      `changed through its other name ${node.called("/outside/evil.yaml")}`,
    ]);

    before = node.alerts().length;
    execFileSync("umount", [file]);
    const unmounted = await node.alerted((one) => one.change === "unmounted", before);
    t.is(unmounted.path, path);
    const back = await node.alerted(
      (one) => one.path === path && one.change === "modified",
      before,
    );
    t.is(back.after?.sha256, good);

    before = node.alerts().length;
    const again = shell('echo again >> "$1"', file);
    const last = await node.alerted((one) => one.path === path, before);
    t.is(last.engine, "fanotify");
    t.is(last.actor?.pid, again);
    t.is(await node.watching.stop(), 0);
  },
);

const isOf = (path: string, change: string) => (one: Alert) =>
  one.path === path && one.change === change;

interface Over {
  readonly title: string;
  readonly mount: (node: RunningNode, place: string) => readonly string[];
  readonly type?: string;
  readonly source?: string;
  readonly option: string;
  /** What is to be seen at pki/ca.crt then. */
  readonly shows: "deleted" | "modified";
}

const overs: readonly Over[] = [
  {
    title: "an empty filesystem",
    mount: (_, place) => ["-t", "tmpfs", "-o", "size=1m,noexec,mode=755", "evilfs", place],
    type: "tmpfs",
    source: "evilfs",
    option: "noexec",
    shows: "deleted",
  },
  {
    title: "another directory",
    mount: (node, place) => ["--bind", node.at("/outside/tree"), place],
    option: "rw",
    shows: "modified",
  },
];

for (const { title, mount, type, source, option, shows } of overs)
  possible(
    `${title} that is mounted over a watched directory is reported, looked at and watched, and so is what shows again`,
    async (t) => {
      await using node = await startPod();
      const crt = node.called(`${pki}/ca.crt`);
      // Twice: what was learned of the first must not stand in the way of the second.
      for (let round = 0; round < 2; round += 1) {
        let before = node.alerts().length;
        execFileSync("mount", mount(node, node.at(pki)));
        const mounted = await node.alerted(isOf(node.called(pki), "mounted"), before);
        if (type !== undefined) t.is(mounted.mount?.type, type);
        if (source !== undefined) t.is(mounted.mount?.source, source);
        t.true(mounted.mount?.options.includes(option), JSON.stringify(mounted.mount));
        await node.alerted(isOf(crt, shows), before);

        before = node.alerts().length;
        const pid = shell('echo x > "$1"', node.at(`${pki}/${round}.key`));
        const made = await node.alerted(
          isOf(node.called(`${pki}/${round}.key`), "created"),
          before,
        );
        t.is(made.engine, "fanotify");
        t.is(made.actor?.pid, pid);

        before = node.alerts().length;
        execFileSync("umount", [node.at(pki)]);
        const unmounted = await node.alerted(isOf(node.called(pki), "unmounted"), before);
        if (source !== undefined) t.is(unmounted.mount?.source, source);
        const back = await node.alerted(
          isOf(crt, shows === "deleted" ? "created" : "modified"),
          before,
        );
        t.is(back.after?.sha256, sha256(node.at(`${pki}/ca.crt`)));

        before = node.alerts().length;
        const other = shell('echo "$2" >> "$1"', node.at(`${pki}/ca.crt`), `${round}`);
        const last = await node.alerted(isOf(crt, "modified"), before);
        t.is(last.engine, "fanotify");
        t.is(last.actor?.pid, other);
      }
      t.is(await node.watching.stop(), 0);
    },
  );

const pod = { name: "evil-7d4b", namespace: "kube-system", container: "writer" };

/** Directories that are made for the test alone, and removed with what is in them. */
class Made implements Disposable {
  readonly #first: string[] = [];

  directory(path: string): string {
    const first = mkdirSync(path, { recursive: true });
    if (first !== undefined) this.#first.push(first);
    return path;
  }

  file(path: string, make: (path: string) => void): void {
    this.directory(dirname(path));
    make(path);
    this.#first.push(path);
  }

  [Symbol.dispose](): void {
    for (const path of this.#first.toReversed()) rmSync(path, { recursive: true, force: true });
  }
}

/** A bundle for runc: the machine's programs, and one of the node's directories as a volume. */
function makeBundle(ground: Ground, id: string, podUid: string, command: string): string {
  const bundle = join(ground.dir, `bundle-${id.slice(0, 8)}`);
  const rootfs = join(bundle, "rootfs");
  for (const dir of ["usr", "data", "proc", "dev"])
    mkdirSync(join(rootfs, dir), { recursive: true });
  for (const dir of ["bin", "lib", "lib64"]) symlinkSync(`usr/${dir}`, join(rootfs, dir));
  execFileSync(runc ?? "runc", ["spec"], { cwd: bundle });
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8")) as {
    process: { terminal: boolean; args: string[] };
    mounts: { destination: string; type: string; source: string; options?: string[] }[];
    linux: { cgroupsPath?: string };
  };
  config.process.terminal = false;
  config.process.args = ["sh", "-ec", command];
  config.mounts = [
    ...config.mounts.filter(({ destination }) => ["/proc", "/dev"].includes(destination)),
    { destination: "/usr", type: "bind", source: "/usr", options: ["rbind", "ro"] },
    {
      destination: "/data",
      type: "bind",
      source: ground.at(manifests),
      options: ["rbind", "rw"],
    },
  ];
  config.linux.cgroupsPath = `/kubepods/besteffort/pod${podUid}/${id}`;
  writeFileSync(file, JSON.stringify(config));
  return bundle;
}

/** runc removes the container's own cgroup, not those above it. */
function removeCgroups(podUid: string): void {
  for (const hierarchy of readdirSync("/sys/fs/cgroup"))
    for (const dir of [`kubepods/besteffort/pod${podUid}`, "kubepods/besteffort", "kubepods"])
      try {
        rmdirSync(join("/sys/fs/cgroup", hierarchy, dir));
      } catch {
        // Not made, or another's.
      }
  for (const dir of [`kubepods/besteffort/pod${podUid}`, "kubepods/besteffort", "kubepods"])
    try {
      rmdirSync(join("/sys/fs/cgroup", dir));
    } catch {
      // Not made, or another's.
    }
}

const namings: readonly {
  readonly title: string;
  readonly name: (made: Made, id: string, podUid: string) => void;
}[] = [
  {
    title: "the link to its log",
    name: (made, id) => {
      const { name, namespace, container } = pod;
      made.file(`/var/log/containers/${name}_${namespace}_${container}-${id}.log`, (path) =>
        symlinkSync(`/var/log/pods/${namespace}_${name}/${container}/0.log`, path),
      );
    },
  },
  {
    title: "its bundle",
    name: (made, id) => {
      const annotations = {
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.container-name": pod.container,
        "io.kubernetes.cri.sandbox-name": pod.name,
        "io.kubernetes.cri.sandbox-namespace": pod.namespace,
      };
      const dir = `/run/containerd/io.containerd.runtime.v2.task/k8s.io/${id}`;
      made.file(`${made.directory(dir)}/config.json`, (path) =>
        writeFileSync(path, JSON.stringify({ annotations })),
      );
    },
  },
];

for (const { title, name } of namings)
  withRunc(
    `a process in a container is reported with its pod, known by ${title}, whether it lives or not`,
    async (t) => {
      await using node = await startPod();
      using made = new Made();
      const id = randomBytes(32).toString("hex");
      const podUid = "01234567-89ab-cdef-0123-456789abcdef";
      name(made, id, podUid);
      // The shell lives until its input ends, chmod for a moment only.
      const bundle = makeBundle(
        node,
        id,
        podUid,
        "echo evil > /data/lives.yaml; read -r pid _ < /proc/self/stat; echo up; read -r _; chmod 666 /data/etcd.yaml; read -r _",
      );
      const options = ["--root", join(node.dir, "runc")];
      const container = spawn(runc ?? "runc", [
        ...options,
        "run",
        "--bundle",
        bundle,
        id.slice(0, 12),
      ]);
      try {
        await once(container.stdout, "data");
        const living = await node.alerted(
          (one) => one.path === node.called(`${manifests}/lives.yaml`),
        );
        const due = {
          id,
          podUid,
          pod: pod.name,
          namespace: pod.namespace,
          name: pod.container,
        };
        t.deepEqual({ ...living.actor?.container }, due);
        const inside = readFileSync(`/proc/${living.actor?.pid}/status`, "utf8");
        t.regex(inside, /^NSpid:\t\d+\t1$/m, "the pid is not the node's of the container's first");
        t.is(living.actor?.exe, programOf("sh"));
        container.stdin.write("\n");
        const brief = await node.alerted(
          (one) => one.path === node.called(`${manifests}/etcd.yaml`),
        );
        t.deepEqual(brief.fields, ["mode"]);
        t.is(brief.actor?.comm, "chmod");
        t.deepEqual({ ...brief.actor?.container }, due);
        t.is(await node.watching.stop(), 0);
      } finally {
        const ended = once(container, "close");
        container.stdin.end("\n");
        if (container.exitCode === null) await ended;
        removeCgroups(podUid);
      }
    },
  );
