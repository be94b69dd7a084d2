import test from "ava";
import fc from "fast-check";
import { toEvent } from "../../../src/core/record/alert.ts";
import { hashRecord } from "../../../src/core/record/chain.ts";
import { toEcs } from "../../../src/core/record/ecs.ts";
import { eventContext, examples, judgedOf, manifest } from "../../helpers/judged.ts";
import { noticeOf } from "../../helpers/notices.ts";
import { record } from "../../helpers/queue.ts";

const link = "https://fim.example/a/1";
const ecsOf = (judged: Parameters<typeof toEvent>[0]) => {
  const notice = noticeOf(record("alert", toEvent(judged, eventContext())));
  return { notice, doc: toEcs(notice, link) };
};

test("an alert has its file, its state before, its process, its place and its technique in the fields of ECS", (t) => {
  const { notice, doc } = ecsOf(judgedOf({ attack: ["T1574.006"] }));
  t.like(doc, {
    "@timestamp": "2026-11-23T03:21:41.123Z",
    message: notice.message,
    event: {
      id: notice.id,
      kind: "alert",
      category: ["file"],
      type: ["change"],
      action: ["attributes_modified"],
      created: "2026-11-23T03:21:41.161Z",
      module: "file_integrity",
      dataset: "fim.event",
      severity: 5,
      sequence: 7,
      code: "kubeadm/static-pods",
      provider: "fanotify",
      hash: hashRecord(notice.bytes),
      url: link,
    },
    file: {
      path: manifest,
      name: "kube-apiserver.yaml",
      directory: "/etc/kubernetes/manifests",
      extension: "yaml",
      type: "file",
      mode: "0644",
      uid: "0",
      owner: "root",
      setuid: false,
      mtime: "2026-11-23T03:21:41.123456789Z",
    },
    fim: { change: "modified", fields: ["mode"], before: { mode: "0600" }, login_uid: "1000" },
    process: { pid: 48_211, name: "chmod", executable: "/usr/bin/chmod", parent: { name: "bash" } },
    user: { id: "0", name: "root" },
    host: { name: "cp-1", hostname: "cp-1.example.internal", os: { name: "Ubuntu" } },
    rule: { id: "kubeadm/static-pods", ruleset: "kubeadm" },
    threat: {
      framework: "MITRE ATT&CK",
      tactic: { name: ["Persistence", "Privilege Escalation", "Defense Evasion"] },
      technique: {
        id: ["T1574"],
        subtechnique: { id: ["T1574.006"], name: ["Dynamic Linker Hijacking"] },
      },
    },
  });
});

test("each kind of change has an action of Auditbeat and a type that ECS allows", (t) => {
  const allowed = new Set(["creation", "change", "deletion", "info", "access"]);
  const actions = Object.fromEntries(
    Object.entries(examples).map(([name, judged]) => {
      const { event } = ecsOf(judged).doc as { event: { action: string[]; type: string[] } };
      t.true(
        event.type.every((type) => allowed.has(type)),
        name,
      );
      return [name, event.action];
    }),
  );
  t.deepEqual(actions["created"], ["created"]);
  t.deepEqual(actions["deleted"], ["deleted"]);
  t.deepEqual(actions["renamed"], ["moved"]);
  t.deepEqual(actions["transient"], ["created", "updated", "deleted"]);
  t.deepEqual(actions["mounted"], ["mounted"]);
});

/** The type that an index has for a field from its first document: it refuses a document with another. */
const shapeOf = (value: unknown): string =>
  Array.isArray(value) ? [...new Set(value.map(shapeOf))].join("|") : typeof value;

test("whatever a hostile node signs, every field keeps its type and no text exceeds a term of Lucene", (t) => {
  const { doc } = ecsOf(judgedOf());
  const leaves = (value: unknown, path: string): [string, unknown][] =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.entries(value).flatMap(([key, member]) => leaves(member, `${path}.${key}`))
      : [[path, value]];
  const expected = new Map(leaves(doc, "").map(([path, value]) => [path, shapeOf(value)]));
  const event = toEvent(judgedOf(), eventContext()) as unknown as Record<string, unknown>;
  const junk = fc.oneof(
    fc.anything({ withNullPrototype: false }),
    fc.constant("x".repeat(40_000)),
    fc.constant(["漢".repeat(40_000)]),
  );
  const paths = [
    ["unmapped", "fim", "path"],
    ["unmapped", "fim", "before"],
    ["unmapped", "fim", "after", "mtime"],
    ["unmapped", "fim", "actor", "cmdline"],
    ["unmapped", "fim", "actor", "container"],
    ["unmapped", "fim", "fields"],
    ["actor", "process", "cmd_line"],
    ["metadata", "logged_time"],
    ["device", "os"],
    ["policy"],
    ["time"],
  ];
  const withJunk = (target: unknown, [name = "", ...more]: readonly string[], value: unknown) => {
    const copy = { ...(target as Record<string, unknown>) };
    copy[name] = more.length === 0 ? value : withJunk(copy[name], more, value);
    return copy;
  };
  fc.assert(
    fc.property(fc.constantFrom(...paths), junk, (path, value) => {
      const body: unknown = JSON.parse(JSON.stringify(withJunk(event, path, value)));
      const found = leaves(toEcs(noticeOf(record("alert", body)), link), "");
      return found.every(([at, leaf]) => {
        const shape = shapeOf(leaf);
        const texts = (Array.isArray(leaf) ? leaf : [leaf]).filter(
          (one) => typeof one === "string",
        );
        return (
          shape === (expected.get(at) ?? shape) &&
          texts.every((text) => Buffer.byteLength(text) <= 32_766)
        );
      });
    }),
  );
  t.pass();
});
