import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { EventContext } from "../../src/core/record/alert.ts";
import { fields } from "../../src/core/change/change.ts";
import type { Change, FoldedChange, JudgedChange } from "../../src/core/change/change.ts";
import type { Mount } from "../../src/core/change/mount.ts";
import type { Actor, EngineName, Step } from "../../src/core/change/hint.ts";
import type { FileType, Observation } from "../../src/core/change/observation.ts";
import { decodePath } from "../../src/core/path.ts";
import { severities } from "../../src/core/policy/rule.ts";
import type { FileClass } from "../../src/core/policy/rule.ts";

/** A regular file as kubeadm writes one, with what the test changes of it. */
export function seen(changes: Partial<Observation> = {}): Observation {
  return {
    type: "file",
    mode: 0o600,
    uid: 0,
    gid: 0,
    size: 3131,
    mtime: "2026-11-23T03:21:41.123456789Z",
    ctime: "2026-11-23T03:21:41.123456789Z",
    btime: "2026-11-20T10:00:00.000000001Z",
    dev: "259:2",
    ino: "1311007",
    nlink: 1,
    sha256: "0e139366efb4afd6a49726c4e97b2dc89eb20845ddfb25696129537bac610e47",
    ...changes,
  };
}

export const manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";

/** A mode change of the API server's manifest, unless the test says otherwise. */
export function judgedOf(changes: Partial<JudgedChange> = {}): JudgedChange {
  return {
    change: {
      path: manifest,
      kind: "modified",
      fields: ["mode"],
      before: seen(),
      after: seen({ mode: 0o644 }),
    },
    rule: "kubeadm/static-pods",
    class: "immutable",
    severity: "critical",
    verdict: "unexpected",
    meaning: [],
    attack: ["T1610"],
    why: "The kubelet runs whatever is written here.",
    at: Date.UTC(2026, 10, 23, 3, 21, 41, 123),
    engine: "fanotify",
    actor: {
      pid: 48211,
      comm: "chmod",
      exe: "/usr/bin/chmod",
      cmdline: ["chmod", "644", manifest],
      uid: 0,
      loginUid: 1000,
      ancestry: ["bash", "sshd"],
    },
    ...changes,
  };
}

export const tmpfs: Mount = {
  id: 412,
  path: "/etc/kubernetes/manifests",
  root: "/",
  type: "tmpfs",
  source: "tmpfs",
  options: ["rw", "nosuid"],
  dev: "0:88",
};

export function eventContext(changes: Partial<EventContext> = {}): EventContext {
  return {
    uid: "019ac1f6-2a83-7b1e-9a4e-0a3f2c6d5e41",
    sequence: 7,
    node: "cp-1",
    cluster: "prod-eu1",
    agentUid: "ed25519:0123456789abcdef",
    version: "0.1.0",
    host: {
      hostname: "cp-1.example.internal",
      osName: "Ubuntu",
      osVersion: "24.04.3 LTS",
      kernel: "6.8.0-71-generic",
      machineId: "ec2e1f4c0d0b4a5d9b8e6f2f0f5e9a11",
      bootId: "8f0b7a1e-2c64-4f0e-9b0d-3a5b1d7a7c21",
    },
    now: Date.UTC(2026, 10, 23, 3, 21, 41, 161),
    policy: { name: "kubeadm", digest: "ab".repeat(32) },
    names: {
      user: (uid) => (uid === 0 ? "root" : undefined),
      group: (gid) => (gid === 0 ? "root" : undefined),
    },
    ...changes,
  };
}

/** One example of every kind of change, the folded one included. */
export const examples: Readonly<Record<string, JudgedChange | FoldedChange>> = {
  created: judgedOf({ change: { path: "/etc/cron.d/x", kind: "created", after: seen() } }),
  deleted: judgedOf({ change: { path: manifest, kind: "deleted", before: seen() } }),
  renamed: judgedOf({
    change: {
      path: "/etc/b",
      kind: "renamed",
      from: "/etc/a",
      fields: [],
      before: seen(),
      after: seen({ ctime: "2026-11-23T03:21:42.000000000Z" }),
    },
  }),
  modified: judgedOf(),
  transient: judgedOf({
    change: {
      path: "/etc/kubernetes/manifests/x",
      kind: "transient",
      steps: ["created", "modified", "deleted"],
    },
  }),
  mounted: judgedOf({
    change: {
      path: tmpfs.path,
      kind: "mounted",
      mount: tmpfs,
      before: seen({ type: "directory", size: 0, mode: 0o755 }),
    },
  }),
  unmounted: judgedOf({ change: { path: tmpfs.path, kind: "unmounted", mount: tmpfs } }),
  unreadable: judgedOf({
    change: { path: manifest, kind: "unreadable", errno: "EACCES", before: seen() },
  }),
  folded: {
    ...judgedOf({ severity: "low" }),
    count: 200,
    examples: [manifest, "/etc/other"],
    since: Date.UTC(2026, 10, 23, 3, 20),
  },
};

const bytes = fc.uint8Array({ min: 1, max: 255, minLength: 1, maxLength: 12 });
const name = fc.oneof(
  fc.stringMatching(/^[a-z][a-z0-9._-]{0,11}$/),
  bytes.map((one) => decodePath(Buffer.from(one)).replaceAll("/", "_")),
  fc.constantFrom("a\nb", "\u202egpj.exe", "日本", "\\x41", "\u001b[31m"),
);

/** Absolute paths of any bytes the kernel allows. */
export const path: fc.Arbitrary<string> = fc
  .array(name, { minLength: 1, maxLength: 5 })
  .map((names) => `/${names.join("/")}`);

const text = fc.string({ unit: "binary", maxLength: 20 });
const id = fc.nat({ max: 4_294_967_295 });
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((one) => hex(one));
const time = fc
  .tuple(
    fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }),
    fc.nat(999_999),
  )
  .map(([date, rest]) => date.toISOString().replace("Z", `${String(rest).padStart(6, "0")}Z`));

function hex(one: Uint8Array): string {
  return Buffer.from(one).toString("hex");
}

const types: readonly FileType[] = [
  "file",
  "directory",
  "symlink",
  "fifo",
  "socket",
  "block",
  "char",
];

export const observation: fc.Arbitrary<Observation> = fc.record(
  {
    type: fc.constantFrom(...types),
    mode: fc.nat({ max: 0o7777 }),
    uid: id,
    gid: id,
    size: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
    mtime: time,
    ctime: time,
    btime: time,
    dev: fc.tuple(fc.nat(4095), fc.nat(1_048_575)).map(([major, minor]) => `${major}:${minor}`),
    ino: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String),
    nlink: fc.integer({ min: 1, max: 65_000 }),
    sha256: hash,
    target: path,
    acl: fc.constant("user::rw-,user:1000:r--,group::---,mask::r--,other::---"),
    capabilities: fc.constantFrom("cap_net_raw=ep", "cap_setuid=ep"),
    selinux: fc.constant("system_u:object_r:etc_t:s0"),
    xattrs: fc.dictionary(
      fc.stringMatching(/^user\.[a-z]{1,8}$/),
      bytes.map((one) => Buffer.from(one).toString("base64")),
      { maxKeys: 3, noNullPrototype: true },
    ),
    flags: fc.subarray(["append", "immutable", "verity"], { minLength: 1 }),
    unstable: fc.constant(true as const),
    unreadable: fc.constantFrom("EACCES", "EIO"),
  },
  {
    requiredKeys: ["type", "mode", "uid", "gid", "size", "mtime", "ctime", "dev", "ino", "nlink"],
  },
);

const actor: fc.Arbitrary<Actor> = fc.record(
  {
    pid: fc.integer({ min: 1, max: 4_194_304 }),
    comm: text,
    exe: path,
    cmdline: fc.array(text, { maxLength: 4 }),
    uid: id,
    loginUid: id,
    ancestry: fc.array(text, { maxLength: 4 }),
    cgroup: text,
    container: fc.record(
      { id: hash, name: text, pod: text, namespace: text, podUid: fc.oneof(fc.uuid(), text) },
      { requiredKeys: ["id"] },
    ),
  },
  { requiredKeys: ["pid"] },
);

const mount: fc.Arbitrary<Mount> = fc.record({
  id: fc.nat(),
  path,
  root: path,
  type: text,
  source: path,
  options: fc.array(text, { maxLength: 4 }),
  dev: fc.constant("0:88"),
});

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.constantFrom<Step>(
    "created",
    "deleted",
    "renamed",
    "modified",
    "closed",
    "attributes",
    "linked",
    "changed",
  ),
  { minLength: 1, maxLength: 4 },
);

const changedFields = fc.subarray([...fields], { minLength: 1 });
const maybe = { requiredKeys: ["path", "kind"] } as const;

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ path, kind: fc.constant("created" as const), after: observation }),
  fc.record({ path, kind: fc.constant("deleted" as const), before: observation }),
  fc.record(
    {
      path,
      kind: fc.constant("renamed" as const),
      from: path,
      fields: fc.subarray([...fields]),
      before: observation,
      after: observation,
      count: fc.nat(),
    },
    { requiredKeys: [...maybe.requiredKeys, "from", "fields", "before", "after"] },
  ),
  fc.record(
    {
      path,
      kind: fc.constant("modified" as const),
      fields: changedFields,
      before: observation,
      after: observation,
      via: path,
    },
    { requiredKeys: [...maybe.requiredKeys, "fields", "before", "after"] },
  ),
  fc.record(
    { path, kind: fc.constant("transient" as const), steps, before: observation },
    { requiredKeys: [...maybe.requiredKeys, "steps"] },
  ),
  fc.record(
    {
      path,
      kind: fc.constantFrom("mounted" as const, "unmounted" as const),
      mount,
      before: observation,
    },
    { requiredKeys: [...maybe.requiredKeys, "mount"] },
  ),
  fc.record(
    {
      path,
      kind: fc.constant("unreadable" as const),
      errno: fc.constantFrom("EACCES", "EIO", "ELOOP"),
      before: observation,
      after: observation,
    },
    { requiredKeys: [...maybe.requiredKeys, "errno"] },
  ),
);

const classes: readonly FileClass[] = ["immutable", "rotates", "append-only", "sealed", "volatile"];
const engines: readonly EngineName[] = ["fanotify", "chokidar", "sweep", "mounts"];
const at = fc.double({ min: 0, max: 4_102_444_800_000, noNaN: true });

export const judged: fc.Arbitrary<JudgedChange> = fc.record(
  {
    change,
    rule: fc.constantFrom("kubeadm/static-pods", "linux/sshd"),
    class: fc.constantFrom(...classes),
    severity: fc.constantFrom(...severities),
    verdict: fc.constantFrom("unexpected" as const, "approved" as const),
    meaning: fc.array(text, { maxLength: 5 }),
    attack: fc.subarray(["T1610", "T1574.006", "TA0003"]),
    why: text,
    at,
    engine: fc.constantFrom(...engines),
    actor,
    offline: fc.constant(true as const),
  },
  {
    requiredKeys: [
      "change",
      "rule",
      "class",
      "severity",
      "verdict",
      "meaning",
      "attack",
      "why",
      "at",
    ],
  },
);

export const folded: fc.Arbitrary<FoldedChange> = fc
  .tuple(
    judged,
    fc.integer({ min: 2, max: 1_000_000 }),
    fc.array(path, { minLength: 1, maxLength: 5 }),
    at,
  )
  .map(([one, count, examplePaths, since]) => ({
    ...one,
    count,
    examples: examplePaths,
    since,
  }));
