import test from "ava";
import * as fc from "fast-check";
import { Inodes } from "../../../src/watch/fanotify/inodes.ts";

const pathsOf = (inodes: Inodes, key: string) =>
  inodes.directories(key).map((dir) => inodes.pathOf(dir));

test("a directory that moves takes everything below it along", (t) => {
  const inodes = new Inodes();
  const a = inodes.put("/a", "A", "watched");
  const c = inodes.put("/a/b/c", "C", "watched");
  const to = inodes.put("/z", "Z", "watched");
  inodes.putFile("F", { dir: c, name: "file" });
  inodes.move(a, to, "moved");
  t.deepEqual(pathsOf(inodes, "C"), ["/z/moved/b/c"]);
  t.is(inodes.at("/a"), undefined);
  t.is(inodes.at("/z/moved/b/c"), c);
  t.deepEqual(
    inodes.files("F").map(({ dir, name }) => `${inodes.pathOf(dir)}/${name}`),
    ["/z/moved/b/c/file"],
  );
});

test("two directories that change places keep what is theirs", (t) => {
  const inodes = new Inodes();
  const top = inodes.put("/", "T", "way");
  const a = inodes.put("/a", "A", "watched");
  const b = inodes.put("/b", "B", "watched");
  inodes.put("/a/x", "AX", "watched");
  inodes.put("/b/x", "BX", "watched");
  inodes.move(a, top, "b");
  inodes.move(b, top, "a");
  t.deepEqual(pathsOf(inodes, "AX"), ["/b/x"]);
  t.deepEqual(pathsOf(inodes, "BX"), ["/a/x"]);
  t.is(inodes.at("/a"), b);
});

test("what a mount hid is known again when it shows again, and the mount's own is forgotten", (t) => {
  const inodes = new Inodes();
  const a = inodes.put("/a", "A", "watched");
  inodes.put("/a/b", "B", "watched");
  const size = inodes.size;
  for (let round = 0; round < 3; round += 1) {
    const over = inodes.put("/a", "OVER", "watched");
    inodes.put("/a/b", "OVER B", "watched");
    inodes.putFile("F", { dir: over, name: "f" });
    t.deepEqual(pathsOf(inodes, "OVER B"), ["/a/b"]);
    t.deepEqual(pathsOf(inodes, "B"), ["/a/b"]);
    t.is(inodes.put("/a", "A", "watched"), a);
    t.deepEqual(pathsOf(inodes, "B"), ["/a/b"]);
    t.deepEqual(pathsOf(inodes, "OVER B"), []);
    t.deepEqual(inodes.files("F"), []);
    t.is(inodes.size, size);
  }
});

test("removing a directory forgets what is below it and nothing else", (t) => {
  const inodes = new Inodes();
  const a = inodes.put("/a", "A", "watched");
  const b = inodes.put("/a/b", "B", "watched");
  const other = inodes.put("/ab", "AB", "watched");
  inodes.putFile("F", { dir: b, name: "f" });
  inodes.putFile("G", { dir: other, name: "g" });
  inodes.remove(a);
  t.deepEqual(inodes.directories("B"), []);
  t.deepEqual(inodes.files("F"), []);
  t.is(inodes.files("G").length, 1);
  t.is(inodes.size, 2);
});

test("an inode with several names keeps each once", (t) => {
  const inodes = new Inodes();
  const dir = inodes.put("/a", "A", "watched");
  for (const name of ["x", "y", "x"]) inodes.putFile("F", { dir, name });
  t.deepEqual(
    inodes.files("F").map(({ name }) => name),
    ["x", "y"],
  );
  t.is(dir.files, 2);
  inodes.removeFile("F", { dir, name: "x" });
  t.deepEqual(
    inodes.files("F").map(({ name }) => name),
    ["y"],
  );
});

test("what is mounted over a directory takes its path, the other keeps its own inode", (t) => {
  const inodes = new Inodes();
  inodes.put("/a/b", "OLD", "watched");
  inodes.put("/a/b", "NEW", "watched");
  t.is(inodes.at("/a/b")?.key, "NEW");
  t.deepEqual(pathsOf(inodes, "OLD"), ["/a/b"]);
});

test("file names are like a plain list of pairs, whatever is added and removed", (t) => {
  const step = fc.record({
    isAdded: fc.boolean(),
    key: fc.constantFrom("K", "L", "M"),
    dir: fc.constantFrom("/a", "/b"),
    name: fc.constantFrom("x", "y"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const inodes = new Inodes();
      const dirs = new Map(["/a", "/b"].map((path) => [path, inodes.put(path, path, "watched")]));
      const model = new Set<string>();
      for (const { isAdded, key, dir: path, name } of steps) {
        const dir = dirs.get(path);
        if (!dir) continue;
        if (isAdded) inodes.putFile(key, { dir, name });
        else inodes.removeFile(key, { dir, name });
        model[isAdded ? "add" : "delete"](`${key} ${path}/${name}`);
      }
      const found = ["K", "L", "M"].flatMap((key) =>
        inodes.files(key).map(({ dir, name }) => `${key} ${inodes.pathOf(dir)}/${name}`),
      );
      t.deepEqual(found.toSorted(), [...model].toSorted());
    }),
  );
});
