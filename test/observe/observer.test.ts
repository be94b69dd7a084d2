import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import test from "ava";
import type { Observation } from "../../src/core/change/observation.ts";
import { rowOf } from "../../src/core/change/observation.ts";
import { decodePath, encodePath } from "../../src/core/path.ts";
import { Observer } from "../../src/observe/observer.ts";
import { openDescriptors, run, Scratch } from "./scratch.ts";
import { missingProgram, rootMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

/** chown, mknod, file capabilities and chattr need root. */
const asRoot = needing(rootMissing);
const asRootWith = (...programs: readonly string[]) =>
  needing(rootMissing ?? missingProgram(...programs));

function look(root: string, path: string): Observation | undefined {
  using observer = new Observer(root);
  return observer.observe(path, { hash: true });
}

test("a file is seen with everything its inode says", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file"), "hello");
  chmodSync(scratch.at("file"), 0o4640);
  utimesSync(scratch.at("file"), 1, 1_700_000_000.5);
  linkSync(scratch.at("file"), scratch.at("other"));
  const stat = statSync(scratch.at("file"), { bigint: true });
  const seen = look(scratch.path, "/file");
  t.like(seen, {
    type: "file",
    mode: 0o4640,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: 5,
    mtime: "2023-11-14T22:13:20.500000000Z",
    ino: String(stat.ino),
    nlink: 2,
    sha256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
  });
  t.is(seen?.dev, `${(stat.dev >> 8n) & 0xfffn}:${stat.dev & 0xffn}`);
  t.is(seen?.ctime.slice(0, 23), stat.ctime.toISOString().slice(0, 23));
  t.is(seen?.btime?.slice(0, 23), stat.birthtime.toISOString().slice(0, 23));
});

asRoot("owner and group are seen as numbers", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file"), "");
  chownSync(scratch.at("file"), 4_000_000_000, 65_534);
  t.like(look(scratch.path, "/file"), { uid: 4_000_000_000, gid: 65_534 });
});

test("a directory has no size and one link, whatever is in it", (t) => {
  using scratch = new Scratch();
  mkdirSync(scratch.at("dir/below"), { recursive: true });
  t.like(look(scratch.path, "/dir"), { type: "directory", size: 0, nlink: 1, sha256: undefined });
  t.is(look(scratch.path, "/")?.type, "directory");
});

test("a symbolic link is seen itself, not what it points to", (t) => {
  using scratch = new Scratch();
  symlinkSync("no/where", scratch.at("link"));
  lutimesSync(scratch.at("link"), 5, 5);
  const seen = look(scratch.path, "/link");
  t.like(seen, { type: "symlink", target: "no/where", mtime: "1970-01-01T00:00:05.000000000Z" });
  t.is(seen?.sha256, undefined);
});

test("a FIFO and a socket are seen without being opened", async (t) => {
  using scratch = new Scratch();
  run("mkfifo", scratch.at("fifo"));
  const server = createServer(() => t.fail("the socket was opened"));
  await new Promise<void>((resolve) => server.listen(scratch.at("socket"), resolve));
  t.is(look(scratch.path, "/fifo")?.type, "fifo"); // Would wait for a writer if it were opened.
  t.is(look(scratch.path, "/socket")?.type, "socket");
  await new Promise((resolve) => server.close(resolve));
});

asRoot("devices are seen without being opened", (t) => {
  using scratch = new Scratch();
  run("mknod", scratch.at("block"), "b", "240", "99"); // No driver: opening it fails with ENXIO.
  run("mknod", scratch.at("char"), "c", "240", "99");
  t.like(look(scratch.path, "/block"), { type: "block", unreadable: undefined });
  t.like(look(scratch.path, "/block"), { type: "block", target: "240:99" });
  t.like(look(scratch.path, "/char"), { type: "char", target: "240:99", unreadable: undefined });
});

test("where there is nothing, nothing is seen", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file"), "");
  symlinkSync("/gone", scratch.at("dangling"));
  t.is(look(scratch.path, "/none"), undefined);
  t.is(look(scratch.path, "/file/below"), undefined);
  t.is(look(scratch.path, "/dangling/below"), undefined);
  t.is(look(scratch.path, "/fi\0le"), undefined);
});

test("no path leads out of the root", (t) => {
  using scratch = new Scratch();
  mkdirSync(scratch.at("root/etc"), { recursive: true });
  mkdirSync(scratch.at("root/dir"));
  writeFileSync(scratch.at("root/etc/shadow"), "of the root");
  writeFileSync(scratch.at("outside"), "secret");
  symlinkSync("/etc", scratch.at("root/dir/absolute"));
  symlinkSync("../../../etc", scratch.at("root/dir/relative"));
  symlinkSync("../..", scratch.at("root/dir/up"));
  const root = scratch.at("root");
  const own = look(root, "/etc/shadow");
  t.is(own?.size, 11);
  t.deepEqual(look(root, "/dir/absolute/shadow"), own);
  t.deepEqual(look(root, "/dir/relative/shadow"), own);
  t.deepEqual(look(root, "/../../../etc/shadow"), own);
  t.is(look(root, "/../outside"), undefined);
  t.is(look(root, "/dir/up/outside"), undefined);
});

test("what cannot be reached is unreadable, not absent", (t) => {
  using scratch = new Scratch();
  symlinkSync("loop", scratch.at("loop"));
  t.is(look(scratch.path, "/loop")?.type, "symlink");
  t.like(look(scratch.path, "/loop/below"), { unreadable: "ELOOP", ino: "0", nlink: 0 });
  t.is(look(scratch.path, `/${"x".repeat(300)}`)?.unreadable, "ENAMETOOLONG");
});

test("names of any bytes are found", (t) => {
  using scratch = new Scratch();
  const names = ["new\nline", " ", "\u{1f511}", "\udcff\udc80x", "é\udce9", "__proto__"];
  for (const name of names) writeFileSync(encodePath(scratch.at(name)), name);
  using observer = new Observer(scratch.path);
  const listed = observer.list("/")?.entries.map(({ name }) => name);
  t.deepEqual(listed?.toSorted(), names.toSorted());
  for (const name of names) t.is(observer.observe(`/${name}`, { hash: true })?.type, "file");
});

test("the target of a symbolic link may be any bytes", (t) => {
  using scratch = new Scratch();
  const target = Buffer.of(0xff, 0x2f, 0x0a);
  symlinkSync(target, scratch.at("link"));
  t.is(look(scratch.path, "/link")?.target, decodePath(target));
});

needing(missingProgram("setfacl", "getfacl"))(
  "an ACL and a default ACL are seen as getfacl writes them",
  (t) => {
    using scratch = new Scratch();
    mkdirSync(scratch.at("dir"), 0o750);
    run("setfacl", "-m", "u:1000:r-x,d:u:1001:rwx", scratch.at("dir"));
    const printed = run("getfacl", "-cnpE", scratch.at("dir")).trim().split("\n").join(",");
    t.is(look(scratch.path, "/dir")?.acl, printed);
    writeFileSync(scratch.at("file"), "", { mode: 0o600 });
    run("setfacl", "-m", "u:1000:r", scratch.at("file"));
    const acl = "user::rw-,user:1000:r--,group::---,mask::r--,other::---";
    t.is(look(scratch.path, "/file")?.acl, acl);
  },
);

asRootWith("setcap", "getcap")("capabilities are seen as getcap prints them", (t) => {
  using scratch = new Scratch();
  const file = scratch.at("file");
  writeFileSync(file, "");
  const raw = [
    "0x010000020020000000000000000000800000",
    "0x00000002000000000000000002008000000000ff",
  ];
  const steps = [
    ...["cap_net_raw=ep", "cap_chown=p cap_bpf,cap_kill+i", "all=ep", "all=eip cap_mknod-i"].map(
      (set) => ["setcap", set, file] as const,
    ),
    ...raw.map(
      (value) =>
        ["setfattr", "-n", "security.capability", "-v", value.padEnd(42, "0"), file] as const,
    ),
  ];
  for (const [command, ...args] of steps) {
    run(command, ...args);
    const printed = run("getcap", file)
      .trim()
      .slice(file.length + 1);
    t.is(look(scratch.path, "/file")?.capabilities, printed);
  }
  run("setcap", "-n", "1000", "cap_net_raw=ep", file);
  t.is(look(scratch.path, "/file")?.capabilities, "cap_net_raw=ep [rootid=1000]");
});

asRootWith("setfattr")("every other extended attribute is kept, sorted by name", (t) => {
  using scratch = new Scratch();
  const file = scratch.at("file");
  writeFileSync(file, "");
  run("setfattr", "-n", "user.b", "-v", "0x00ff", file);
  run("setfattr", "-n", "user.a", "-v", "text", file);
  run("setfattr", "-n", "trusted.c", file);
  const seen = look(scratch.path, "/file");
  t.deepEqual(Object.entries(seen?.xattrs ?? {}), [
    ["trusted.c", ""],
    ["user.a", "dGV4dA=="],
    ["user.b", "AP8="],
  ]);
  using observer = new Observer(scratch.path);
  t.deepEqual(observer.observe("/file", { hash: false })?.xattrs, seen?.xattrs);
});

asRootWith("setfattr")("a symbolic link's own attributes are seen", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file"), "");
  symlinkSync("file", scratch.at("link"));
  run("setfattr", "-h", "-n", "trusted.own", "-v", "x", scratch.at("link"));
  run("setfattr", "-n", "trusted.file", "-v", "x", scratch.at("file"));
  t.deepEqual(look(scratch.path, "/link")?.xattrs, { "trusted.own": "eA==" });
});

asRootWith("setfattr")("an SELinux label is seen without its NUL", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file"), "");
  const label = "system_u:object_r:etc_t:s0";
  run("setfattr", "-n", "security.selinux", "-v", `${label}\\000`, scratch.at("file"));
  t.like(look(scratch.path, "/file"), { selinux: label, xattrs: undefined });
});

asRootWith("chattr")("immutable and append-only are flags", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file"), "");
  t.is(look(scratch.path, "/file")?.flags, undefined);
  run("chattr", "+ai", scratch.at("file"));
  const seen = look(scratch.path, "/file");
  run("chattr", "-ai", scratch.at("file"));
  t.deepEqual(seen?.flags, ["append", "immutable"]);
});

needing(missingProgram("setfattr", "setfacl"))(
  "an observation's keys are in the order of its row",
  (t) => {
    using scratch = new Scratch();
    writeFileSync(scratch.at("file"), "text");
    symlinkSync("file", scratch.at("link"));
    run("setfattr", "-n", "user.a", scratch.at("file"));
    run("setfacl", "-m", "u:1000:r", scratch.at("file"));
    for (const path of ["/", "/file", "/link", "/link/loop"]) {
      const seen = look(scratch.path, path);
      if (seen) t.is(JSON.stringify(seen), rowOf(seen));
    }
  },
);

asRoot("what the user may not read is unreadable, with its inode where that may be seen", (t) => {
  using scratch = new Scratch();
  chmodSync(scratch.path, 0o755);
  writeFileSync(scratch.at("secret"), "text", { mode: 0o600 });
  mkdirSync(scratch.at("closed"), 0o700);
  writeFileSync(scratch.at("closed/file"), "text");
  const module = new URL("../../src/observe/observer.ts", import.meta.url).href;
  const script = `
    const { Observer } = await import(${JSON.stringify(module)});
    const observer = new Observer(${JSON.stringify(scratch.path)});
    const seen = ["/secret", "/closed/file"].map((path) => observer.observe(path, { hash: true }));
    console.log(JSON.stringify([...seen, observer.list("/closed")]));`;
  const args = ["--input-type=module", "-e", script];
  const ended = spawnSync(process.execPath, args, { uid: 65_534, gid: 65_534, encoding: "utf8" });
  t.is(ended.stderr, "");
  const [secret, below, listing] = JSON.parse(ended.stdout) as [Observation, Observation, unknown];
  t.like(secret, { type: "file", mode: 0o600, size: 4, unreadable: "EACCES" });
  t.like(below, { type: "file", ino: "0", nlink: 0, unreadable: "EACCES" });
  t.deepEqual(listing, { entries: [], unreadable: "EACCES" });
});

test("a listing reports directories, and that a file or a link is none", (t) => {
  using scratch = new Scratch();
  mkdirSync(scratch.at("dir"));
  writeFileSync(scratch.at("file"), "");
  symlinkSync("dir", scratch.at("link"));
  using observer = new Observer(scratch.path);
  const kinds = observer.list("/")?.entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  t.deepEqual(kinds, [
    { name: "dir", kind: "directory" },
    { name: "file", kind: "other" },
    { name: "link", kind: "other" },
  ]);
  for (const path of ["/file", "/link", "/none"]) t.is(observer.list(path), undefined);
});

test("an observer keeps no descriptor open but its own two", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file"), "x".repeat(100_000));
  symlinkSync("loop", scratch.at("loop"));
  const before = openDescriptors();
  {
    using observer = new Observer(scratch.path);
    for (let round = 0; round < 250; round += 1) {
      observer.observe("/file", { hash: true });
      observer.observe("/none", { hash: true });
      observer.observe("/loop/x", { hash: true });
      observer.observe("/loop", { hash: true });
      observer.list("/");
      observer.list("/file");
    }
    t.is(openDescriptors(), before + 2);
  }
  t.is(openDescriptors(), before);
  t.throws(() => new Observer(scratch.at("none")), { code: "SYSCALL" });
  t.is(openDescriptors(), before);
});
