import { Buffer } from "node:buffer";
import { closeSync, openSync, readSync, symlinkSync, writeFileSync } from "node:fs";
import test from "ava";
import {
  cachedBytes,
  close,
  dropCache,
  listFlags,
  lookFlags,
  openInRoot,
  openPlain,
  openRoot,
  readAt,
  readDirectory,
  readLink,
} from "../../src/linux/files.ts";
import { errnoName } from "../../src/linux/libc.ts";
import { Scratch } from "../observe/scratch.ts";
import { needing } from "../helpers/needs.ts";

function nameOfFailure(result: number): string {
  return errnoName(-result);
}

test("a path is opened below the root, and failures are errno", (t) => {
  using scratch = new Scratch();
  writeFileSync(scratch.at("file"), "text");
  symlinkSync("loop", scratch.at("loop"));
  const root = openRoot(scratch.path);
  const fd = openInRoot(root, "/file", lookFlags);
  t.true(fd >= 0);
  close(fd);
  t.is(nameOfFailure(openInRoot(root, "/none", lookFlags)), "ENOENT");
  t.is(nameOfFailure(openInRoot(root, "/file/below", lookFlags)), "ENOTDIR");
  t.is(nameOfFailure(openInRoot(root, "/loop/below", lookFlags)), "ELOOP");
  t.is(nameOfFailure(openInRoot(root, "/file\0", lookFlags)), "ENOENT");
  t.is(nameOfFailure(openInRoot(root, `/${"x".repeat(256)}`, lookFlags)), "ENAMETOOLONG");
  t.is(nameOfFailure(openInRoot(root, `/${"x".repeat(5000)}`, lookFlags)), "ENAMETOOLONG");
  t.is(nameOfFailure(openInRoot(root, `/${"é".repeat(4000)}`, lookFlags)), "ENAMETOOLONG");
  t.is(nameOfFailure(openPlain(-1, scratch.at("none"), lookFlags)), "ENOENT");
  close(root);
});

test("a root that is not a directory is refused by name", (t) => {
  t.throws(() => openRoot("/etc/passwd"), { message: "open /etc/passwd: ENOTDIR" });
  t.throws(() => openRoot("/none"), { message: "open /none: ENOENT" });
});

test("a directory of more names than one call gives is listed whole", (t) => {
  using scratch = new Scratch();
  const names = Array.from({ length: 3000 }, (_, at) => `a-rather-long-name-${at}`);
  for (const name of names) writeFileSync(scratch.at(name), "");
  const fd = openPlain(-1, scratch.path, listFlags);
  const entries = readDirectory(fd);
  close(fd);
  const listed = Array.isArray(entries) ? entries.map(({ name }) => name) : [];
  t.deepEqual(listed.toSorted(), names.toSorted());
});

test("reading, linking and listing the wrong thing are errno", (t) => {
  const fd = openPlain(-1, "/etc/passwd", lookFlags);
  t.is(nameOfFailure(readAt(fd, 0, Buffer.alloc(10))), "EBADF");
  const target = readLink(fd);
  t.true(typeof target === "number" && target < 0);
  const entries = readDirectory(fd);
  t.true(typeof entries === "number" && entries < 0);
  close(fd);
});

/** cachestat(2) came with Linux 6.5. */
function cachestatMissing(): string | undefined {
  const fd = openSync(import.meta.filename, "r");
  const cached = cachedBytes(fd);
  closeSync(fd);
  return cached === undefined ? "needs Linux 6.5" : undefined;
}

needing(cachestatMissing())(
  "the page cache holds what was read until it is asked to forget it",
  (t) => {
    using scratch = new Scratch();
    writeFileSync(scratch.at("file"), Buffer.alloc(1024 * 1024), { flush: true });
    const fd = openSync(scratch.at("file"), "r");
    readSync(fd, Buffer.alloc(1024 * 1024));
    const cached = cachedBytes(fd);
    dropCache(fd);
    const left = cachedBytes(fd);
    closeSync(fd);
    t.is(cached, 1024 * 1024);
    t.true(left !== undefined && left <= (cached ?? 0));
  },
);
