import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { close, listFlags, openPlain } from "../../src/linux/files.ts";
import { directoryHandle, directoryOf, entryKey, nameBytes } from "../../src/linux/handles.ts";
import type { HandleDirectory } from "../../src/linux/handles.ts";
import { rootMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

/** open_by_handle_at needs CAP_DAC_READ_SEARCH. */
const whenRoot = needing(rootMissing);

interface Opened extends Disposable {
  readonly path: string;
  readonly handle: HandleDirectory;
}

function opened(): Opened {
  const path = fs.mkdtempSync(join(tmpdir(), "fim-handles-"));
  const fd = openPlain(-1, path, listFlags);
  const handle = directoryHandle(fd);
  if (typeof handle === "number") throw new Error(`no handles in ${path}: ${handle}`);
  return {
    path,
    handle,
    [Symbol.dispose]() {
      close(fd);
      fs.rmSync(path, { recursive: true });
    },
  };
}

test("two names of one inode have one key, two files have two", (t) => {
  using dir = opened();
  fs.writeFileSync(join(dir.path, "a"), "");
  fs.writeFileSync(join(dir.path, "b"), "");
  fs.linkSync(join(dir.path, "a"), join(dir.path, "c"));
  const [a, b, c] = ["a", "b", "c"].map((name) => entryKey(dir.handle, nameBytes(name)));
  t.is(typeof a, "string");
  t.is(a, c);
  t.not(a, b);
});

test("a key stays over a rename and differs for a new file of the same name", (t) => {
  using dir = opened();
  fs.writeFileSync(join(dir.path, "a"), "");
  const before = entryKey(dir.handle, nameBytes("a"));
  fs.renameSync(join(dir.path, "a"), join(dir.path, "b"));
  t.is(entryKey(dir.handle, nameBytes("b")), before);
  fs.writeFileSync(join(dir.path, "a"), "");
  t.not(entryKey(dir.handle, nameBytes("a")), before);
});

test("a directory's key is the same from outside and from inside", (t) => {
  using dir = opened();
  fs.mkdirSync(join(dir.path, "sub"));
  const fd = openPlain(-1, join(dir.path, "sub"), listFlags);
  const inside = directoryHandle(fd);
  close(fd);
  t.is(typeof inside === "number" ? inside : inside.key, entryKey(dir.handle, nameBytes("sub")));
});

test("a name that is not there is minus ENOENT", (t) => {
  using dir = opened();
  t.is(entryKey(dir.handle, nameBytes("missing")), -2);
});

whenRoot("a directory is found by its key alone, until it is gone", (t) => {
  using dir = opened();
  fs.mkdirSync(join(dir.path, "sub"));
  const key = String(entryKey(dir.handle, nameBytes("sub")));
  t.is(directoryOf(key, dir.handle.fd), join(fs.realpathSync(dir.path), "sub"));
  fs.rmdirSync(join(dir.path, "sub"));
  t.is(directoryOf(key, dir.handle.fd), undefined);
});
