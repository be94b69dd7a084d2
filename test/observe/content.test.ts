import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { appendFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import test from "ava";
import { Observer } from "../../src/observe/observer.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { openDescriptors, run, Scratch } from "./scratch.ts";

const piece = 64 * 1024;

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

needing(missingProgram("openssl"))(
  "the digest is that of openssl, at every size around a piece",
  (t) => {
    using scratch = new Scratch();
    using observer = new Observer(scratch.path);
    for (const size of [0, 1, piece - 1, piece, piece + 1, 3 * piece, 9 * 1024 * 1024 + 5]) {
      writeFileSync(scratch.at("file"), randomBytes(size));
      const printed = run("openssl", "dgst", "-sha256", "-r", scratch.at("file")).slice(0, 64);
      t.is(observer.observe("/file", { hash: true })?.sha256, printed, `size ${size}`);
    }
  },
);

test("the first bytes are digested beside the whole, or alone", (t) => {
  using scratch = new Scratch();
  using observer = new Observer(scratch.path);
  const bytes = randomBytes(3 * piece);
  writeFileSync(scratch.at("file"), bytes);
  for (const size of [
    0,
    1,
    piece - 1,
    piece,
    piece + 1,
    2 * piece,
    bytes.length - 1,
    bytes.length,
  ]) {
    const prefix = { size, sha256: sha256(bytes.subarray(0, size)) };
    const both = observer.observe("/file", { hash: true, prefix: size });
    t.deepEqual(both?.prefix, prefix);
    t.is(both?.sha256, sha256(bytes));
    const alone = observer.observe("/file", { hash: false, prefix: size });
    t.deepEqual(alone?.prefix, prefix);
    t.is(alone?.sha256, undefined);
  }
});

test("the prefix of a file that grew is the same, of one that was cut it is shorter", (t) => {
  using scratch = new Scratch();
  using observer = new Observer(scratch.path);
  const bytes = randomBytes(piece + 100);
  writeFileSync(scratch.at("log"), bytes);
  appendFileSync(scratch.at("log"), "more");
  const grown = observer.observe("/log", { hash: true, prefix: bytes.length });
  t.deepEqual(grown?.prefix, { size: bytes.length, sha256: sha256(bytes) });
  truncateSync(scratch.at("log"), 10);
  const cut = observer.observe("/log", { hash: true, prefix: bytes.length });
  t.deepEqual(cut?.prefix, { size: 10, sha256: sha256(bytes.subarray(0, 10)) });
});

test("a file that is too large is seen and not read", (t) => {
  using scratch = new Scratch();
  let read = 0;
  using observer = new Observer(scratch.path, (bytes) => (read += bytes));
  writeFileSync(scratch.at("file"), "0123456789");
  const large = observer.observe("/file", { hash: true, maxBytes: 9 });
  t.like(large, { size: 10, sha256: undefined });
  t.is(read, 0);
  t.is(typeof observer.observe("/file", { hash: true, maxBytes: 10 })?.sha256, "string");
  const prefix = observer.observe("/file", { hash: false, prefix: 4, maxBytes: 9 })?.prefix;
  t.is(prefix?.size, 4);
});

test("a file that changes once while it is read is read again", (t) => {
  using scratch = new Scratch();
  let pieces = 0;
  using observer = new Observer(scratch.path, () => {
    pieces += 1;
    if (pieces === 2) appendFileSync(scratch.at("file"), "more");
  });
  const bytes = randomBytes(3 * piece);
  writeFileSync(scratch.at("file"), bytes);
  const seen = observer.observe("/file", { hash: true });
  const whole = Buffer.concat([bytes, Buffer.from("more")]);
  t.like(seen, { size: whole.length, sha256: sha256(whole), unstable: undefined });
});

test("a file that never rests is unstable, and its digest is that of its size", (t) => {
  using scratch = new Scratch();
  let written = Buffer.from("start");
  writeFileSync(scratch.at("file"), written);
  using observer = new Observer(scratch.path, () => {
    appendFileSync(scratch.at("file"), "more");
    written = Buffer.concat([written, Buffer.from("more")]);
  });
  const seen = observer.observe("/file", { hash: true });
  t.is(seen?.unstable, true);
  t.is(seen?.size, 5 + 2 * 4);
  t.is(seen?.sha256, sha256(written.subarray(0, seen?.size)));
});

test("a file that is cut while it is read settles", (t) => {
  using scratch = new Scratch();
  let pieces = 0;
  using observer = new Observer(scratch.path, () => {
    pieces += 1;
    if (pieces === 1) truncateSync(scratch.at("file"), 10);
  });
  writeFileSync(scratch.at("file"), Buffer.alloc(3 * piece));
  t.like(observer.observe("/file", { hash: true }), { size: 10, sha256: sha256(Buffer.alloc(10)) });
});

test("a file that is replaced while it is read is seen as the new one", (t) => {
  using scratch = new Scratch();
  let pieces = 0;
  using observer = new Observer(scratch.path, () => {
    pieces += 1;
    if (pieces === 1) renameSync(scratch.at("fresh"), scratch.at("file"));
  });
  writeFileSync(scratch.at("file"), "old");
  writeFileSync(scratch.at("fresh"), "fresh");
  const seen = observer.observe("/file", { hash: true });
  t.like(seen, { size: 5, sha256: sha256(Buffer.from("fresh")), unstable: undefined });
});

test("a file that is deleted while it is read is not there", (t) => {
  using scratch = new Scratch();
  using observer = new Observer(scratch.path, () => rmSync(scratch.at("file"), { force: true }));
  writeFileSync(scratch.at("file"), "text");
  t.is(observer.observe("/file", { hash: true }), undefined);
});

test("a file that says it is empty and is not, is read", (t) => {
  using observer = new Observer("/");
  const seen = observer.observe("/proc/sys/kernel/ostype", { hash: true });
  t.like(seen, { size: 0, sha256: sha256(Buffer.from("Linux\n")) });
});

test("a reader that is stopped leaves nothing open", (t) => {
  using scratch = new Scratch();
  using observer = new Observer(scratch.path, () => {
    throw new Error("stopped");
  });
  writeFileSync(scratch.at("file"), "text");
  const before = openDescriptors();
  t.throws(() => observer.observe("/file", { hash: true }), { message: "stopped" });
  t.is(openDescriptors(), before);
});
