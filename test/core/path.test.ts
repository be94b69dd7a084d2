import { Buffer } from "node:buffer";
import test from "ava";
import fc from "fast-check";
import {
  comparePaths,
  decodePath,
  encodePath,
  fsPath,
  isBelow,
  isUtf8Path,
  joinPath,
  nameOf,
  parentOf,
  printable,
  showPath,
} from "../../src/core/path.ts";
import { path } from "../helpers/judged.ts";

// Bytes that sit on the edges of UTF-8, among any others.
const edges = fc.constantFrom(
  0x7f,
  0x80,
  0xbf,
  0xc0,
  0xc2,
  0xe0,
  0xed,
  0xa0,
  0xef,
  0xbd,
  0xf0,
  0xf4,
  0xf5,
  0xff,
);
const bytes = fc
  .array(fc.oneof(edges, fc.integer({ min: 1, max: 255 })), { maxLength: 24 })
  .map((one) => Buffer.from(one));
const utf8 = fc.string({ unit: "binary" }).map((text) => Buffer.from(text));
const decoded = fc.oneof(bytes, utf8).map(decodePath);

test("decoding and encoding a path loses no byte", (t) => {
  fc.assert(
    fc.property(fc.oneof(bytes, utf8), (one) => t.true(encodePath(decodePath(one)).equals(one))),
    { numRuns: 2000 },
  );
});

test("two paths of different bytes are different strings", (t) => {
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      t.is(decodePath(a) === decodePath(b), a.equals(b));
    }),
  );
});

test("a path is UTF-8 exactly when its bytes are", (t) => {
  fc.assert(
    fc.property(fc.oneof(bytes, utf8), (one) => {
      const valid = Buffer.from(one.toString("utf8")).equals(one);
      t.is(isUtf8Path(decodePath(one)), valid);
      t.is(typeof fsPath(decodePath(one)), valid ? "string" : "object");
    }),
  );
});

test("the replacement character itself is an ordinary character of a name", (t) => {
  t.deepEqual(showPath(decodePath(Buffer.from("/a\ufffdb"))), { text: "/a\ufffdb" });
});

test("bytes that are no UTF-8 are shown as U+FFFD, and whole in base64", (t) => {
  const raw = Buffer.from([0x2f, 0x61, 0xff, 0xc3]);
  t.deepEqual(showPath(decodePath(raw)), {
    text: "/a\ufffd\ufffd",
    base64: raw.toString("base64"),
  });
});

test("what is shown of any path is well-formed, and its bytes can be had back", (t) => {
  fc.assert(
    fc.property(decoded, (one) => {
      const { text, base64 } = showPath(one);
      t.true(text.isWellFormed());
      t.deepEqual(Buffer.from(base64 ?? text, base64 ? "base64" : "utf8"), encodePath(one));
    }),
  );
});

test("printable text is one line without control, invisible or direction-changing characters", (t) => {
  fc.assert(
    fc.property(fc.oneof(decoded, fc.string({ unit: "binary" })), (one) => {
      t.notRegex(
        printable(one),
        /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/,
      );
      t.notRegex(
        printable(one),
        // Hangul and Braille blanks, tags, private use, wide spaces.
        /[\u00a0\u115f\u2000-\u200a\u2800\u3000\u3164\ue000-\uf8ff\u{e0000}-\u{10ffff}]/u,
      );
      t.true(printable(one).isWellFormed());
    }),
  );
  t.is(printable("a\nb\tc\u001b[31m\\\u202e\u0085"), "a\\nb\\tc\\x1b[31m\\\\\\u202e\\u0085");
  t.is(
    printable("conf\u{e0041}\u3164\u00a0\u2800é 文 😀"),
    "conf\\u{e0041}\\u3164\\u00a0\\u2800é 文 😀",
  );
});

test("two texts that differ are printed differently", (t) => {
  // The letters of the escapes themselves, so that an ambiguity would be met.
  const unit = fc.constantFrom(
    "\\",
    "x",
    "n",
    "u",
    "0",
    "8",
    "{",
    "e",
    "}",
    "\n",
    "\u0080",
    "\udc80",
    "\u0008",
    "\u{e0080}",
  );
  const text = fc.oneof(fc.string({ unit, maxLength: 6 }), decoded);
  fc.assert(
    fc.property(text, text, (a, b) => t.is(printable(a) === printable(b), a === b)),
    { numRuns: 5000 },
  );
  t.not(printable("\u0080"), printable(decodePath(Buffer.from([0x80]))));
});

test("paths are ordered by their bytes, not by their code units", (t) => {
  t.is(comparePaths("/\uffff", "/\u{10000}"), -1);
  fc.assert(
    fc.property(decoded, decoded, (a, b) => {
      t.is(comparePaths(a, b), Buffer.compare(encodePath(a), encodePath(b)));
    }),
  );
});

test("joining the parent and the name gives the path again", (t) => {
  fc.assert(fc.property(path, (one) => t.is(joinPath(parentOf(one), nameOf(one)), one)));
  t.is(parentOf("/a"), "/");
  t.is(parentOf("/"), "/");
});

test("a path is below its parents and below nothing else", (t) => {
  fc.assert(
    fc.property(path, path, (dir, other) => {
      t.true(isBelow(joinPath(dir, "x"), dir));
      t.true(isBelow(dir, "/"));
      t.false(isBelow(dir, dir));
      t.false(isBelow(`${dir}x`, dir));
      t.is(isBelow(other, dir), `${other}/`.startsWith(`${dir}/`) && other !== dir);
    }),
  );
  t.false(isBelow("/", "/"));
});
