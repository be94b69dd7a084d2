import { Buffer } from "node:buffer";
import test from "ava";
import fc from "fast-check";
import { toEvent } from "../../../src/core/record/alert.ts";
import type { Change, Field } from "../../../src/core/change/change.ts";
import type { Step } from "../../../src/core/change/hint.ts";
import type { OcsfProcess } from "../../../src/core/record/ocsf.ts";
import { decodePath } from "../../../src/core/path.ts";
import type { Severity } from "../../../src/core/policy/rule.ts";
import {
  eventContext,
  examples,
  folded,
  judged,
  judgedOf,
  manifest,
  seen,
  tmpfs,
} from "../../helpers/judged.ts";

const context = eventContext();

function eventOf(change: Change) {
  return toEvent(judgedOf({ change }), context);
}

function modified(...fields: Field[]) {
  return eventOf({ path: manifest, kind: "modified", fields, before: seen(), after: seen() });
}

function transient(...steps: Step[]) {
  return eventOf({ path: manifest, kind: "transient", steps });
}

test("each kind of change has its activity", (t) => {
  const expected = {
    created: 1,
    deleted: 4,
    renamed: 5,
    modified: 7,
    transient: 1,
    mounted: 12,
    unmounted: 13,
    unreadable: 99,
    folded: 7,
  };
  for (const [kind, example] of Object.entries(examples)) {
    const event = toEvent(example, context);
    t.is(event.activity_id, expected[kind as keyof typeof expected], kind);
    t.is(event.type_uid, 100100 + event.activity_id);
    t.is(event.type_name, `File System Activity: ${event.activity_name}`);
  }
});

const activities: readonly (readonly [number, readonly Field[]])[] = [
  [3, ["content", "type", "target"]],
  [7, ["mode", "owner", "group", "acl", "capabilities", "selinux"]],
  [6, ["xattr", "flags", "links", "inode", "mtime"]],
];

test("each field of a modified path has its activity", (t) => {
  for (const [activity, fields] of activities) {
    for (const field of fields) t.is(modified(field).activity_id, activity, field);
  }
});

test("of several fields the most severe gives the activity: content, then security, then attributes", (t) => {
  t.is(modified("mtime", "mode", "content").activity_id, 3);
  t.is(modified("mtime", "mode").activity_id, 7);
  t.is(modified("mtime", "inode").activity_id, 6);
});

test("a transient change has the activity of its first step", (t) => {
  const expected = {
    created: 1,
    deleted: 4,
    renamed: 5,
    modified: 3,
    closed: 3,
    changed: 3,
    attributes: 6,
    linked: 6,
  };
  for (const [step, activity] of Object.entries(expected)) {
    t.is(transient(step as Step, "deleted").activity_id, activity, step);
  }
});

test("a renamed file stays a rename when fields changed too, from the old path to the new", (t) => {
  const event = eventOf({
    path: "/etc/b",
    kind: "renamed",
    from: "/etc/a",
    fields: ["content"],
    before: seen({ size: 1 }),
    after: seen({ size: 2 }),
  });
  t.is(event.activity_id, 5);
  t.like(event.file, { path: "/etc/a", size: 1 });
  t.like(event.file_result, { path: "/etc/b", size: 2 });
  t.is(event.unmapped.fim.from, "/etc/a");
});

test("of a file that was overwritten by a rename nothing is said under the other file's old name", (t) => {
  const event = eventOf({
    path: "/etc/b",
    kind: "renamed",
    from: "/etc/a",
    fields: ["content", "inode"],
    before: seen({ ino: "1", size: 1 }),
    after: seen({ ino: "2", size: 2 }),
  });
  t.like(event.file, { path: "/etc/a", size: 2, uid: "dev:259:2/ino:2" });
  t.like(event.unmapped.fim.before, { size: 1, inode: "1" });
});

test("the file is as it was before, the result as it is after", (t) => {
  const event = toEvent(judgedOf(), context);
  t.like(event.file, {
    name: "kube-apiserver.yaml",
    parent_folder: "/etc/kubernetes/manifests",
    type_id: 1,
    attributes: 0o100600,
    security_descriptor: "100600 root(0):root(0)",
    modified_time: Date.parse("2026-11-23T03:21:41.123Z"),
    owner: { name: "root", uid: "0", type_id: 2, type: "Admin" },
  });
  t.like(event.file_result, {
    attributes: 0o100644,
    security_descriptor: "100644 root(0):root(0)",
  });
  t.like(event.file.xattributes, { mode: "0600", uid: 0, inode: "1311007" });
});

test("a created file is both the file and the result; a deleted one has no result", (t) => {
  const created = toEvent(examples["created"] ?? t.fail(), context);
  t.deepEqual(created.file, created.file_result);
  const deleted = toEvent(examples["deleted"] ?? t.fail(), context);
  t.true(deleted.file.is_deleted);
  t.false("file_result" in deleted);
});

test("every attribute that changed is in the event, extended ones as digests only", (t) => {
  const after = seen({
    type: "symlink",
    target: "/opt/x",
    acl: "user::rw-",
    capabilities: "cap_setuid=ep",
    selinux: "system_u:object_r:etc_t:s0",
    flags: ["immutable"],
    nlink: 2,
    xattrs: { "user.token": Buffer.from("hunter2").toString("base64") },
  });
  const event = eventOf({ path: manifest, kind: "created", after });
  t.like(event.file, { type_id: 7, is_readonly: true, type: "Symbolic Link" });
  t.like(event.file.xattributes, {
    link_name: "/opt/x",
    "system.posix_acl_access": "user::rw-",
    "security.capability": "cap_setuid=ep",
    "security.selinux": "system_u:object_r:etc_t:s0",
    hard_link_count: 2,
  });
  const text = JSON.stringify(event);
  t.false(text.includes("hunter2") || text.includes(Buffer.from("hunter2").toString("base64")));
  t.true(text.includes("f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7"));
});

test("a mount is reported with its source, on the path that it hides", (t) => {
  const event = toEvent(examples["mounted"] ?? t.fail(), context);
  t.like(event.file, { path: tmpfs.path, type_id: 2 });
  t.like(event.file_result, { path: tmpfs.path, volume: "tmpfs" });
  t.is(event.file_result?.type_id, 2);
  t.is(event.file_result?.xattributes?.["mount.options"], "rw,nosuid");
});

test("severity and verdict are given as OCSF numbers them", (t) => {
  const ids: Record<Severity, number> = { info: 1, low: 2, medium: 3, high: 4, critical: 5 };
  for (const [severity, id] of Object.entries(ids)) {
    t.is(toEvent(judgedOf({ severity: severity as Severity }), context).severity_id, id);
  }
  t.like(toEvent(judgedOf(), context), { disposition_id: 19, is_alert: true });
  t.like(toEvent(judgedOf({ verdict: "approved" }), context), {
    disposition_id: 8,
    is_alert: false,
  });
});

test("the process that did it is named with its user, login user, parents and container", (t) => {
  const base = judgedOf();
  const event = toEvent(
    judgedOf({
      actor: {
        ...(base.actor ?? { pid: 1 }),
        container: {
          id: "ac2e",
          name: "app",
          pod: "app-x",
          namespace: "payments",
          podUid: "0d8b260ee0ef45fbbe8eff44f97722e8",
        },
      },
    }),
    context,
  );
  const { process } = event.actor as { process: OcsfProcess };
  t.like(process, {
    pid: 48211,
    name: "chmod",
    path: "/usr/bin/chmod",
    cmd_line: `chmod 644 ${manifest}`,
    euid: 0,
    auid: 1000,
    ancestry: [{ name: "bash" }, { name: "sshd" }],
  });
  t.like(process.user, { name: "root", uid: "0" });
  t.deepEqual(process.container, {
    uid: "ac2e",
    name: "app",
    orchestrator: "kubernetes",
    pod_uuid: "0d8b260e-e0ef-45fb-be8e-ff44f97722e8",
    labels: ["k8s.namespace.name:payments", "k8s.pod.name:app-x"],
  });
});

test("an actor that is not known is said to be unknown, and no user is invented", (t) => {
  const { actor: _, ...rest } = judgedOf();
  const event = toEvent(rest, context);
  t.deepEqual(event.actor, { app_name: "Unknown" });
  t.false("actor" in event.unmapped.fim);
});

test("a user without a name is given by number alone", (t) => {
  const event = toEvent(judgedOf({ actor: { pid: 7, uid: 4_294_967_294 } }), context);
  t.deepEqual(event.actor, {
    process: { pid: 7, user: { uid: "4294967294", type_id: 1, type: "User" } },
    user: { uid: "4294967294", type_id: 1, type: "User" },
  });
});

test("the event says which agent, node, cluster, policy and rule it is from", (t) => {
  const event = toEvent(judgedOf(), context);
  t.like(event.metadata, {
    version: "1.8.0",
    uid: context.uid,
    sequence: 7,
    event_code: "kubeadm/static-pods",
    log_provider: "fanotify",
    logged_time: context.now,
  });
  t.deepEqual(event.metadata.tags, [
    { name: "k8s.cluster.name", value: "prod-eu1" },
    { name: "k8s.node.name", value: "cp-1" },
  ]);
  t.like(event.device, {
    hostname: "cp-1.example.internal",
    name: "cp-1",
    os_machine_uuid: "ec2e1f4c-0d0b-4a5d-9b8e-6f2f0f5e9a11",
  });
  t.like(event.policy, { name: "kubeadm", uid: context.policy.digest, is_applied: true });
});

test("a sequence that OCSF's 32 bits cannot hold is left out", (t) => {
  const last = toEvent(judgedOf(), eventContext({ sequence: 2 ** 31 - 1 }));
  t.is(last.metadata.sequence, 2 ** 31 - 1);
  t.false("sequence" in toEvent(judgedOf(), eventContext({ sequence: 2 ** 31 })).metadata);
});

test("ATT&CK ids are given as tactic, technique and sub-technique, with their names", (t) => {
  const event = toEvent(judgedOf({ attack: ["T1610", "T1574.006", "TA0003"] }), context);
  t.deepEqual(event.attacks, [
    {
      tactic: { uid: "TA0002", name: "Execution" },
      technique: { uid: "T1610", name: "Deploy Container" },
    },
    {
      tactic: { uid: "TA0003", name: "Persistence" },
      technique: { uid: "T1574", name: "Hijack Execution Flow" },
      sub_technique: { uid: "T1574.006", name: "Dynamic Linker Hijacking" },
    },
    { tactic: { uid: "TA0003", name: "Persistence" } },
  ]);
});

test("a folded change has a count, a span and examples", (t) => {
  const event = toEvent(examples["folded"] ?? t.fail(), context);
  t.like(event, {
    count: 200,
    start_time: Date.UTC(2026, 10, 23, 3, 20),
    end_time: event.time,
  });
  t.is(event.unmapped.fim.count, 200);
  t.deepEqual(event.unmapped.fim.examples, [manifest, "/etc/other"]);
});

test("path, name, digest and process can be searched for as observables", (t) => {
  const values = new Map(
    toEvent(judgedOf(), context).observables.map(({ name, value }) => [name, value]),
  );
  t.is(values.get("file.path"), manifest);
  t.is(values.get("file_result.hashes[0].value"), seen().sha256);
  t.is(values.get("actor.process.pid"), "48211");
  t.is(values.get("actor.process.user.name"), "root");
  t.is(values.get("device.hostname"), "cp-1.example.internal");
});

test("a path that is not UTF-8 is shown with U+FFFD and kept in base64", (t) => {
  const raw = Buffer.from([0x2f, 0x65, 0xff]);
  const path = decodePath(raw);
  const event = eventOf({ path, kind: "created", after: seen() });
  t.is(event.file.path, "/e\ufffd");
  t.is(event.unmapped.fim.path, "/e\ufffd");
  t.is(event.unmapped.fim.pathBase64, raw.toString("base64"));
  const renamed = eventOf({
    path: "/b",
    from: path,
    kind: "renamed",
    fields: [],
    before: seen(),
    after: seen(),
  });
  t.is(renamed.unmapped.fim.fromBase64, raw.toString("base64"));
  t.false("pathBase64" in renamed.unmapped.fim);
});

test("the message is one sentence on one line, whatever the names hold", (t) => {
  const event = eventOf({ path: "/etc/a\nb\u001b[31m", kind: "created", after: seen() });
  t.is(
    event.message,
    "cp-1: /etc/a\\nb\\x1b[31m created: file, mode 0600, owner 0:0, by /usr/bin/chmod (pid 48211, uid 0, logged in as 1000)",
  );
});

test("any event holds only well-formed text, whole times and a one-line message, and is the same when parsed", (t) => {
  fc.assert(
    fc.property(fc.oneof(judged, folded), (one) => {
      const event = toEvent(one, context);
      const text = JSON.stringify(event);
      t.deepEqual(JSON.parse(text), event);
      t.notRegex(text, /\\ud[89a-f]/i);
      t.true(Number.isSafeInteger(event.time));
      t.notRegex(event.message, /[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/);
    }),
  );
});

test("a file with all the attributes that Linux allows makes a record that a collector takes", (t) => {
  const value = Buffer.from("x").toString("base64");
  // 64 KiB of names that end with a zero byte, and of entries of eight bytes in each list.
  const names = Array.from({ length: 6553 }, (_, n) => `user.${String(n).padStart(4, "0")}`);
  const entries = Array.from({ length: 8191 }, (_, n) => `user:${4_294_000_000 + n}:rwx`);
  const before = seen({ xattrs: Object.fromEntries(names.map((name) => [name, value])) });
  const acl = `${entries.join(",")},${entries.map((one) => `default:${one}`).join(",")}`;
  const after = { ...before, acl, xattrs: { ...before.xattrs, "user.0000": "" } };
  const change: Change = {
    path: "/etc/a",
    kind: "modified",
    fields: ["acl", "xattr"],
    before: { ...before, acl: `${acl},` },
    after,
  };
  const event = toEvent(judgedOf({ change }), context);
  t.true(JSON.stringify(event).length < 128 * 1024);
  const last = { ...after, xattrs: { ...after.xattrs, "user.6552": "" } };
  const other = toEvent(judgedOf({ change: { ...change, after: last } }), context);
  t.notDeepEqual(other.unmapped, event.unmapped, "each attribute counts");
});
