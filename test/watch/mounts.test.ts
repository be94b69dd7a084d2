import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import { findMountTable, readMounts, watchMounts } from "../../src/watch/mounts.ts";
import { Collected, indexOf, temporaryDirectory } from "./stub.ts";

function canMount(): boolean {
  try {
    execFileSync("unshare", ["-m", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const withMounts = canMount() ? test.serial : test.serial.skip;
const mount = (path: string) => execFileSync("mount", ["-t", "tmpfs", "evil", path]);
const unmount = (path: string) => execFileSync("umount", [path]);

withMounts(
  "a mount over a watched directory and its unmount are reported with the node's own path (needs CAP_SYS_ADMIN)",
  async (t) => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "watched/a b");
    const elsewhere = join(directory.path, "elsewhere");
    mkdirSync(path, { recursive: true });
    mkdirSync(elsewhere);
    const stop = new AbortController();
    const collected = new Collected();
    const watch = watchMounts({
      root: directory.path,
      isWatched: (point) => indexOf("/watched").mayMatchBelow(point),
      signal: stop.signal,
      now: () => 5,
      sink: collected.sink,
    });
    await watch.ready;
    try {
      mount(elsewhere);
      mount(path);
      t.true(await collected.has(({ kind }) => kind === "mounted"));
    } finally {
      unmount(path);
      unmount(elsewhere);
    }
    t.true(await collected.has(({ kind }) => kind === "unmounted"));
    stop.abort();
    await watch.ended;
    const reported = collected.hints.flatMap((hint) =>
      "mount" in hint ? [[hint.kind, hint.mount.path]] : [],
    );
    t.deepEqual(reported, [
      ["mounted", "/watched/a b"],
      ["unmounted", "/watched/a b"],
    ]);
  },
);

withMounts("in a private namespace the node's own table is read (needs CAP_SYS_ADMIN)", (t) => {
  const url = new URL("../../src/watch/mounts.ts", import.meta.url).href;
  const code = `const { findMountTable, readMounts } = await import(${JSON.stringify(url)});
    const table = findMountTable("/");
    console.log(JSON.stringify({ table, count: readMounts(table).length }));`;
  // A process namespace of our own, whose pid 1 may be looked at, and in it a second mount namespace.
  const inside = 'unshare -m "$0" --input-type=module -e "$1"; exit $?';
  const outer = ["-p", "-f", "-m", "--mount-proc", "sh", "-c", inside, process.execPath, code];
  const text = execFileSync("unshare", outer, { encoding: "utf8" });
  const { table, count } = JSON.parse(text) as { table: unknown; count: number };
  t.deepEqual(table, { file: "/proc/1/mountinfo", prefix: "/" });
  t.true(count > 0);
});

test("where pid 1 sees another root, our own table is read and the root taken off", (t) => {
  using directory = temporaryDirectory();
  const table = findMountTable(directory.path);
  t.deepEqual(table, { file: "/proc/self/mountinfo", prefix: directory.path });
  t.deepEqual(readMounts(table), []);
});
