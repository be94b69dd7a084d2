import test from "ava";
import fc from "fast-check";
import type { Change, Field } from "../../../src/core/change/change.ts";
import { toLine, toRow } from "../../../src/core/text/change-text.ts";
import { decodePath } from "../../../src/core/path.ts";
import { toChangeObject } from "../../../src/core/text/change-json.ts";
import { examples, folded, judged, judgedOf, manifest, seen } from "../../helpers/judged.ts";

test("a modified path is shown with the keys of the contract, in its order", (t) => {
  const meaning = ["kube-apiserver: --anonymous-auth false -> true"];
  const text = JSON.stringify(toChangeObject(judgedOf({ meaning })));
  t.is(
    text,
    `{"path":"${manifest}","change":"modified","fields":["mode"],` +
      `"rule":"kubeadm/static-pods","class":"immutable","severity":"critical","verdict":"unexpected",` +
      `"before":{"type":"file","mode":"0600","uid":0,"gid":0,"size":3131,"sha256":"${seen().sha256}","mtime":"2026-11-23T03:21:41.123456789Z","inode":"1311007","dev":"259:2"},` +
      `"after":{"type":"file","mode":"0644","uid":0,"gid":0,"size":3131,"sha256":"${seen().sha256}","mtime":"2026-11-23T03:21:41.123456789Z","inode":"1311007","dev":"259:2"},` +
      `"meaning":["kube-apiserver: --anonymous-auth false -> true"],` +
      `"actor":{"pid":48211,"comm":"chmod","exe":"/usr/bin/chmod","cmdline":["chmod","644","${manifest}"],"uid":0,"loginUid":1000,"ancestry":["bash","sshd"]},` +
      `"engine":"fanotify","at":"2026-11-23T03:21:41.123Z"}`,
  );
});

test("what is not known is left out", (t) => {
  const { actor: _, engine: __, ...rest } = judgedOf();
  const shown = toChangeObject(rest);
  for (const key of ["actor", "engine", "offline", "from", "via", "count", "pathBase64"]) {
    t.false(key in shown, key);
  }
});

test("each kind of change is shown with what only it has", (t) => {
  const show = (kind: string) => toChangeObject(examples[kind] ?? t.fail());
  t.like(show("renamed"), { path: "/etc/b", from: "/etc/a", fields: [] });
  t.deepEqual(show("transient").steps, ["created", "modified", "deleted"]);
  t.is(show("mounted").mount?.source, "tmpfs");
  t.is(show("unreadable").errno, "EACCES");
  t.is(show("folded").count, 200);
  t.false("before" in show("created"));
  t.false("after" in show("deleted"));
});

test("a target that is not UTF-8 is shown with its bytes too", (t) => {
  const target = decodePath(Buffer.from([0x2f, 0xff]));
  const change: Change = { path: "/l", kind: "created", after: seen({ type: "symlink", target }) };
  t.like(toChangeObject(judgedOf({ change })).after, { target: "/\ufffd", targetBase64: "L/8=" });
});

test("extended attributes are shown by name and digest, never by value", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 8, maxLength: 64 }), (bytes) => {
      const value = Buffer.from(bytes).toString("base64");
      const after = seen({ xattrs: { "user.secret": value } });
      const fields: Field[] = ["xattr"];
      const one = judgedOf({
        change: { path: "/f", kind: "modified", fields, before: seen(), after },
      });
      t.regex(toChangeObject(one).after?.xattrs?.["user.secret"] ?? "", /^[0-9a-f]{64}$/);
      t.false(`${JSON.stringify(toChangeObject(one))}${toLine(one)}`.includes(value));
    }),
  );
});

test("any change object is the same after it was written and parsed", (t) => {
  fc.assert(
    fc.property(fc.oneof(judged, folded), (one) => {
      const shown = toChangeObject(one);
      t.deepEqual(JSON.parse(JSON.stringify(shown)), shown);
    }),
  );
});

const who = "by /usr/bin/chmod (pid 48211, uid 0, logged in as 1000)";
const lines: Readonly<Record<string, string>> = {
  created: `critical /etc/cron.d/x created: file, mode 0600, owner 0:0, ${who}`,
  deleted: `critical ${manifest} deleted, ${who}`,
  renamed: `critical /etc/a renamed to /etc/b, ${who}`,
  modified: `critical ${manifest} modified: mode 0600 -> 0644, ${who}`,
  transient: `critical /etc/kubernetes/manifests/x changed for a moment only: created, modified, deleted, ${who}`,
  mounted: `critical /etc/kubernetes/manifests mounted over: tmpfs from tmpfs, ${who}`,
  unmounted: `critical /etc/kubernetes/manifests unmounted: tmpfs from tmpfs, ${who}`,
  unreadable: `critical ${manifest} could not be read: EACCES, ${who}`,
  folded: `low 200 changes under rule kubeadm/static-pods, the last of them: ${manifest} modified: mode 0600 -> 0644, ${who}`,
};

test("each kind of change is one plain line", (t) => {
  for (const [kind, example] of Object.entries(examples)) t.is(toLine(example), lines[kind] ?? "");
});

test("a line says when a change was approved, happened offline, and what it means", (t) => {
  const { actor: _, ...rest } = judgedOf({ meaning: ["a", "b", "c", "d\n"] });
  t.is(
    toLine({ ...rest, verdict: "approved", offline: true }),
    `critical (approved) ${manifest} modified: mode 0600 -> 0644, while the agent was not running; a; b; c; and 1 more`,
  );
});

test("every field has its own words in a row", (t) => {
  const before = seen({ nlink: 1, xattrs: { "user.a": "AA==", "user.b": "AA==" } });
  const after = seen({
    type: "symlink",
    mode: 0o4755,
    uid: 1000,
    gid: 1001,
    size: 3207,
    target: "/x\ny",
    acl: "user::rw-",
    capabilities: "cap_setuid=ep",
    selinux: "a:b:c",
    xattrs: { "user.b": "AQ==", "user.c": "AA==" },
    flags: ["append", "immutable"],
    nlink: 2,
    ino: "9",
    mtime: "2026-11-24T00:00:00.000000000Z",
  });
  const detail = (field: Field) =>
    toRow(judgedOf({ change: { path: "/f", kind: "modified", fields: [field], before, after } }))
      .detail;
  const expected: Record<Field, string> = {
    content: "content 3131 -> 3207 bytes",
    type: "type file -> symlink",
    mode: "mode 0600 -> 4755",
    owner: "owner 0 -> 1000",
    group: "group 0 -> 1001",
    target: "target none -> /x\\ny",
    acl: "acl none -> user::rw-",
    capabilities: "capabilities none -> cap_setuid=ep",
    selinux: "selinux none -> a:b:c",
    xattr: "xattr -user.a, ~user.b, +user.c",
    flags: "flags none -> append,immutable",
    links: "links 1 -> 2",
    inode: "inode 1311007 -> 9",
    mtime: "mtime 2026-11-23T03:21:41.123456789Z -> 2026-11-24T00:00:00.000000000Z",
  };
  for (const [field, words] of Object.entries(expected)) t.is(detail(field as Field), words);
});

test("content of the same size is reported by its digest", (t) => {
  const change: Change = {
    path: "/f",
    kind: "modified",
    fields: ["content", "mode"],
    before: seen(),
    after: seen({ sha256: "ab".repeat(32), mode: 0o644 }),
    via: "/f.tmp",
  };
  const row = toRow(judgedOf({ change }));
  t.is(
    row.detail,
    "content sha256 0e139366efb4 -> abababababab; mode 0600 -> 0644; replaced by way of /f.tmp",
  );
  t.is(row.fields, "content,mode");
});

test("a row of a renamed directory shows both names and how many paths moved along", (t) => {
  const dir = seen({ type: "directory", size: 0 });
  const change: Change = {
    path: "/b",
    kind: "renamed",
    from: "/a\n",
    fields: [],
    before: dir,
    after: dir,
    count: 12,
  };
  t.like(toRow(judgedOf({ change })), {
    path: "/a\\n -> /b",
    detail: "12 paths below it moved along",
  });
});

test("no line and no cell ever holds a control character", (t) => {
  fc.assert(
    fc.property(fc.oneof(judged, folded), (one) => {
      for (const text of [toLine(one), ...Object.values(toRow(one))]) {
        t.notRegex(text, /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
        t.true(text.isWellFormed());
      }
    }),
  );
});
