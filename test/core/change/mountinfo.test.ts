import { readFileSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import type { Mount } from "../../../src/core/change/mount.ts";
import { IntegrityError } from "../../../src/core/error.ts";
import { diffMounts, diffRemembered, parseMountinfo } from "../../../src/core/change/mountinfo.ts";
import { decodePath, encodePath } from "../../../src/core/path.ts";

const line =
  "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue\n";

test("a line of the manual page is read", (t) => {
  t.deepEqual(parseMountinfo(Buffer.from(line)), [
    {
      id: 36,
      path: "/mnt2",
      root: "/mnt1",
      type: "ext3",
      source: "/dev/root",
      options: ["rw", "noatime"],
      dev: "98:0",
    },
  ]);
});

test("a line without optional fields and with an empty source is read", (t) => {
  const [mount] = parseMountinfo(Buffer.from("1 0 0:1 / /a rw - tmpfs  rw\n"));
  t.is(mount?.type, "tmpfs");
  t.is(mount?.source, "");
});

test("this machine's own table is read whole", (t) => {
  const bytes = readFileSync("/proc/self/mountinfo");
  const mounts = parseMountinfo(bytes);
  t.is(mounts.length, bytes.toString("latin1").trimEnd().split("\n").length);
  t.true(mounts.some(({ path }) => path === "/"));
});

/** As the kernel writes a name. */
function escaped(bytes: Buffer): string {
  return bytes
    .toString("latin1")
    .replace(/[ \t\n\\#]/g, (one) => `\\${one.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

test("every mount point survives the kernel's escaping, whatever its bytes", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (raw) => {
      const name = Buffer.from(raw.map((byte) => (byte === 0 || byte === 0x2f ? 0x20 : byte)));
      const path = decodePath(Buffer.concat([Buffer.from("/"), name]));
      const text = Buffer.from(
        `1 0 0:1 / ${escaped(encodePath(path))} rw - tmpfs t rw\n`,
        "latin1",
      );
      t.is(parseMountinfo(text)[0]?.path, path);
    }),
  );
});

test("a line that is none is refused", (t) => {
  t.throws(() => parseMountinfo(Buffer.from("1 0 0:1 / /a rw tmpfs\n")), {
    instanceOf: IntegrityError,
    code: "UNSUPPORTED",
  });
});

const mount = (id: number, path: string, more: Partial<Mount> = {}): Mount => ({
  id,
  path,
  root: "/",
  type: "tmpfs",
  source: "tmpfs",
  options: ["rw"],
  dev: "0:1",
  ...more,
});

const everywhere = () => true;

test("a table never differs from itself, nor from itself remounted", (t) => {
  const table = [mount(1, "/"), mount(2, "/etc")];
  t.deepEqual(diffMounts(table, table, everywhere), []);
  t.deepEqual(
    diffMounts(table, [mount(1, "/", { options: ["ro"] }), mount(2, "/etc")], everywhere),
    [],
  );
});

test("only mounts that concern watched paths are reported", (t) => {
  const after = [mount(1, "/"), mount(2, "/etc/kubernetes"), mount(3, "/home")];
  const changes = diffMounts([mount(1, "/")], after, (path) => path.startsWith("/etc"));
  t.deepEqual(changes, [{ kind: "mounted", mount: mount(2, "/etc/kubernetes") }]);
});

test("a mount replaced by another at the same place is unmounted, then mounted, even with the same id", (t) => {
  const evil = mount(2, "/etc", { source: "evil" });
  t.deepEqual(
    diffMounts([mount(2, "/etc")], [evil], everywhere).map(({ kind }) => kind),
    ["unmounted", "mounted"],
  );
});

test("mounts stacked at one place are reported one by one, the last one mounted first to go", (t) => {
  const stack = [mount(2, "/etc"), mount(3, "/etc")];
  t.deepEqual(
    diffMounts(stack, [], everywhere).map((change) => change.mount.id),
    [3, 2],
  );
});

const mounts = (text: string): readonly Mount[] => parseMountinfo(Buffer.from(text));
const everything = (): boolean => true;
const kinds = (changes: readonly { readonly kind: string }[]) => changes.map(({ kind }) => kind);

test("from one start to the next, other ids, devices, disks and options are no news, nor is another root", (t) => {
  const before = mounts(
    "1 0 8:1 /old / rw - ext4 /dev/sda1 rw\n2 1 8:2 / /var/lib/etcd rw - ext4 /dev/sda2 rw\n",
  );
  const after = mounts(
    "7 0 8:17 /new / ro - ext4 /dev/sdb1 rw\n9 7 8:18 / /var/lib/etcd rw,noatime - ext4 /dev/sdb2 rw\n",
  );
  t.deepEqual(diffRemembered(before, after, everything), []);
});

test("from one start to the next, a mount over another of the same kind is news, and so is one less", (t) => {
  const one = mounts("2 1 0:40 / /etc/kubernetes rw - tmpfs a rw\n");
  const two = [...one, ...mounts("3 2 0:41 / /etc/kubernetes rw - tmpfs b rw\n")];
  t.deepEqual(kinds(diffRemembered(one, two, everything)), ["mounted"]);
  t.deepEqual(kinds(diffRemembered(two, one, everything)), ["unmounted"]);
  t.deepEqual(
    diffRemembered(one, two, () => false),
    [],
  );
  const bind = mounts("4 1 8:1 /forged /etc/kubernetes rw - ext4 /dev/sda1 rw\n");
  t.deepEqual(kinds(diffRemembered(one, bind, everything)), ["unmounted", "mounted"]);
});
