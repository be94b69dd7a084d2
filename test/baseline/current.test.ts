import test from "ava";
import fc from "fast-check";
import { Current } from "../../src/baseline/current.ts";
import { decodePath, isBelow } from "../../src/core/path.ts";
import { transact } from "../../src/sqlite/open.ts";
import { State, seenFile } from "../helpers/state.ts";

function pathsOf(known: Iterable<{ readonly path: string }>): string[] {
  return [...known].map(({ path }) => path);
}

test("what was put is got, until it is deleted", (t) => {
  using state = new State();
  const current = new Current(state.db);
  const odd = decodePath(Buffer.from([0x2f, 0xff, 0x0a, 0x80]));
  current.put(odd, seenFile(1, { flags: ["immutable"] }));
  t.deepEqual(current.get(odd), seenFile(1, { flags: ["immutable"] }));
  t.is(current.get("/other"), undefined);
  t.true(current.delete(odd));
  t.false(current.delete(odd));
  t.is(current.count(), 0);
});

test("every name of an inode is found, on its own filesystem", (t) => {
  using state = new State();
  const current = new Current(state.db);
  const big = "18446744073709551615";
  current.put("/a", seenFile(1, { ino: big }));
  current.put("/b", seenFile(1, { ino: big }));
  current.put("/c", seenFile(1, { ino: big, dev: "8:2" }));
  t.deepEqual(current.findByInode("8:1", big), ["/a", "/b"]);
  current.put("/a", seenFile(2));
  t.deepEqual(current.findByInode("8:1", big), ["/b"]);
  const plan = state.db
    .prepare<[], { detail: string }>(
      "EXPLAIN QUERY PLAN SELECT path FROM current WHERE ino = '1' AND dev = '8:1'",
    )
    .all();
  t.regex(plan[0]?.detail ?? "", /current_inode/);
});

test("below a directory is exactly what isBelow says, in order", (t) => {
  using state = new State();
  const current = new Current(state.db);
  const name = fc.constantFrom("a", "ab", "a0", "a-", "b", "é", "\udcff", "0", ".");
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join("/")}`);
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { maxLength: 30 }),
      fc.oneof(path, fc.constant("/")),
      (paths, dir) => {
        transact(state.db, () => {
          for (const old of pathsOf(current.all())) current.delete(old);
          for (const [n, one] of paths.entries()) current.put(one, seenFile(n));
        });
        const found = pathsOf(current.below(dir));
        const all = pathsOf(current.all());
        t.deepEqual(
          found,
          all.filter((one) => isBelow(one, dir)),
        );
        t.is(all.length, paths.length);
      },
    ),
    { numRuns: 60 },
  );
});

test("a table may change while it is being read", (t) => {
  using state = new State();
  const current = new Current(state.db);
  transact(state.db, () => {
    for (let n = 0; n < 1200; n += 1) current.put(`/d/${String(n).padStart(4, "0")}`, seenFile(n));
  });
  let seen = 0;
  for (const { path } of current.below("/d")) {
    seen += 1;
    current.delete(path);
  }
  t.is(seen, 1200);
  t.is(current.count(), 0);
});

test("a renamed directory takes everything below it along, and takes the place of what was there", (t) => {
  using state = new State();
  const current = new Current(state.db);
  const odd = "/d/\udcff/\udc80";
  for (const [n, path] of ["/d", "/d/a", "/d/b/c", odd, "/d0", "/dd/a", "/e/a"].entries())
    current.put(path, seenFile(n));
  t.is(current.renameBelow("/d", "/e"), 3);
  t.deepEqual(pathsOf(current.all()), ["/d", "/d0", "/dd/a", "/e/a", "/e/b/c", "/e/\udcff/\udc80"]);
  t.is(current.get("/e/a")?.ino, "1");
  t.deepEqual(current.findByInode("8:1", "3"), ["/e/\udcff/\udc80"]);
});

test("loading the baseline makes it what was last seen, inodes included", (t) => {
  using state = new State();
  const baseline = state.captured(50);
  const current = new Current(state.db);
  current.put("/gone", seenFile(1));
  t.is(
    transact(state.db, () => current.loadFromBaseline()),
    50,
  );
  t.deepEqual([...current.all()], [...baseline.rows.all()]);
  t.deepEqual(current.findByInode("8:1", "7"), ["/etc/file-7"]);
});
