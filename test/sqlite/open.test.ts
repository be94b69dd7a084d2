import test from "ava";
import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { IntegrityError, isBusy } from "../../src/core/error.ts";
import { openStateDatabase } from "../../src/node/database.ts";
import { explain } from "../../src/sqlite/fault.ts";
import { inSnapshot, readMeta, transact, writeMeta } from "../../src/sqlite/open.ts";
import { stateMigrations } from "../../src/node/database.ts";
import { mountMissing, straceMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

function place(): { file: string; [Symbol.dispose](): void } {
  const dir = mkdtempSync(join(tmpdir(), "fim-sqlite-"));
  return {
    file: join(dir, "state.db"),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  };
}

test("every commit is durable, and memory is bounded", (t) => {
  using at = place();
  const db = openStateDatabase(at.file);
  const pragma = (name: string): unknown => db.pragma(name, { simple: true });
  t.is(pragma("journal_mode"), "wal");
  t.is(pragma("synchronous"), 2);
  t.is(pragma("cache_size"), -2000);
  t.is(pragma("mmap_size"), 0);
  t.is(pragma("foreign_keys"), 1);
  t.is(pragma("trusted_schema"), 0);
  t.is(pragma("auto_vacuum"), 2);
  t.is(pragma("user_version"), stateMigrations.length);
  db.close();
});

test("the database and its companions can be read by their owner alone", (t) => {
  using at = place();
  writeFileSync(at.file, "");
  chmodSync(at.file, 0o644);
  const db = openStateDatabase(at.file);
  for (const name of ["", "-wal", "-shm"]) t.is(statSync(at.file + name).mode & 0o777, 0o600);
  db.close();
});

needing(straceMissing())("a commit reaches the disk before it returns", (t) => {
  using at = place();
  openStateDatabase(at.file).close();
  const commits = 25;
  const program = `
    import { transact, writeMeta } from ${JSON.stringify(join(import.meta.dirname, "../../src/sqlite/open.ts"))};
    import { openStateDatabase } from ${JSON.stringify(join(import.meta.dirname, "../../src/node/database.ts"))};
    const db = openStateDatabase(${JSON.stringify(at.file)});
    for (let n = 0; n < ${commits}; n += 1) transact(db, () => writeMeta(db, "n", String(n)));
    process.exit();`;
  const log = `${at.file}.strace`;
  const command = ["-f", "-o", log, "-e", "trace=fsync,fdatasync", process.execPath];
  const traced = spawnSync("strace", [...command, "--input-type=module-typescript", "-e", program]);
  t.is(traced.status, 0);
  t.true(readFileSync(log, "utf8").split("sync(").length - 1 >= commits);
});

test("what is not a database is refused with what to do", (t) => {
  using at = place();
  writeFileSync(
    at.file,
    "these bytes are no database, and there are more than a hundred of them. ".repeat(20),
  );
  const error = t.throws(() => openStateDatabase(at.file), { instanceOf: IntegrityError });
  t.is(error?.code, "STATE_UNUSABLE");
  t.regex(error?.message ?? "", /not an SQLite database/);
  t.truthy(error?.hint);
});

test("a damaged database is refused, not read as if it were empty", (t) => {
  using at = place();
  const db = openStateDatabase(at.file);
  transact(db, () => {
    for (let n = 0; n < 2000; n += 1) writeMeta(db, `key-${n}`, "x".repeat(200));
  });
  db.pragma("wal_checkpoint(TRUNCATE)");
  db.close();
  const bytes = readFileSync(at.file);
  bytes.fill(0xa5, 8192);
  writeFileSync(at.file, bytes);
  const error = t.throws(
    () => {
      const damaged = openStateDatabase(at.file);
      transact(damaged, () => damaged.prepare("SELECT count(*), max(value) FROM meta").get());
    },
    { instanceOf: IntegrityError },
  );
  t.is(error?.code, "STATE_UNUSABLE");
  t.regex(error?.message ?? "", /damaged/);
});

test("a newer database is refused by an older program and left as it is", (t) => {
  using at = place();
  const db = openStateDatabase(at.file);
  db.pragma(`user_version = ${stateMigrations.length + 1}`);
  db.close();
  const error = t.throws(() => openStateDatabase(at.file), { instanceOf: IntegrityError });
  t.regex(error?.message ?? "", new RegExp(`schema ${stateMigrations.length + 1} is newer`));
  t.throws(() => openStateDatabase(at.file, { readonly: true }), { instanceOf: IntegrityError });
});

test("a symbolic link, a directory and a missing directory are refused", (t) => {
  using at = place();
  symlinkSync("/etc/passwd", at.file);
  const codes = [at.file, join(at.file, ".."), join(at.file, "../none/state.db"), tmpdir()].map(
    (file) => t.throws(() => openStateDatabase(file), { instanceOf: IntegrityError })?.code,
  );
  t.deepEqual(new Set(codes), new Set(["STATE_UNUSABLE"]));
  const missing = join(at.file, "../none/state.db");
  const error = t.throws(() => openStateDatabase(missing, { readonly: true }), {
    instanceOf: IntegrityError,
  });
  t.is(error?.code, "STATE_UNUSABLE");
});

test("locks that keep readers out are another process's too, no damage", (t) => {
  const error = explain(new Database.SqliteError("locking protocol", "SQLITE_PROTOCOL"), "/x.db");
  t.true(isBusy(error));
});

test("a database that another holds is said to be busy", (t) => {
  using at = place();
  const one = openStateDatabase(at.file);
  const other = openStateDatabase(at.file);
  other.pragma("busy_timeout = 1");
  one.exec("BEGIN IMMEDIATE");
  const error = t.throws(() => transact(other, () => undefined), { instanceOf: IntegrityError });
  t.is(error?.code, "STATE_BUSY");
  t.is(
    inSnapshot(other, () => readMeta(other, "none")),
    undefined,
  );
  one.exec("ROLLBACK");
  one.close();
  other.close();
});

test("a reader changes nothing", (t) => {
  using at = place();
  openStateDatabase(at.file).close();
  const db = openStateDatabase(at.file, { readonly: true });
  const error = t.throws(() => transact(db, () => writeMeta(db, "a", "b")), {
    instanceOf: IntegrityError,
  });
  t.is(error?.code, "STATE_UNUSABLE");
  db.close();
});

test("a transaction that fails leaves nothing, and may not be nested", (t) => {
  using at = place();
  const db = openStateDatabase(at.file);
  t.throws(() =>
    transact(db, () => {
      writeMeta(db, "a", "b");
      throw new Error("stop");
    }),
  );
  t.is(readMeta(db, "a"), undefined);
  t.throws(() => transact(db, () => transact(db, () => undefined)), {
    message: /within a transaction/,
  });
  db.close();
});

needing(mountMissing())("a full disk is said to be full, and the state stays sound", (t) => {
  using at = place();
  const dir = join(at.file, "../disk");
  const mounted = spawnSync("sh", ["-c", `mkdir ${dir} && mount -t tmpfs -o size=2m none ${dir}`]);
  t.is(mounted.status, 0);
  try {
    const db = openStateDatabase(join(dir, "state.db"));
    let written = 0;
    const error = t.throws(
      () => {
        for (; written < 10_000; written += 1) {
          transact(db, () => {
            writeMeta(db, `a-${written}`, "x".repeat(4000));
            writeMeta(db, `b-${written}`, "x".repeat(4000));
          });
        }
      },
      { instanceOf: IntegrityError },
    );
    t.is(error?.code, "STATE_FULL");
    t.regex(error?.message ?? "", /disk is full|cannot be/);
    const count = (like: string): unknown =>
      db.prepare("SELECT count(*) FROM meta WHERE key LIKE ?").pluck().get(like);
    t.true(written > 0);
    t.is(count("a-%"), written);
    t.is(count("b-%"), written);
    t.is(db.pragma("integrity_check", { simple: true }), "ok");
    db.close();
  } finally {
    execFileSync("umount", [dir]);
  }
});

test("whatever was altered, every use of the database says so in words", (t) => {
  using at = place();
  const db = openStateDatabase(at.file);
  const read = db.prepare("SELECT value FROM meta");
  const write = db.prepare("INSERT INTO meta (key, value) VALUES ('a', 'b')");
  write.run();
  t.deepEqual(
    [read.all(), [...read.iterate()], [read.get()]],
    Array.from({ length: 3 }, () => [{ value: "b" }]),
  );
  const refusals = [
    () => write.run(),
    ...["DROP TABLE meta", "SELECT 1"].flatMap((sql) => [
      () => {
        db.exec(sql);
        return read.get();
      },
      () => read.all(),
      () => [...read.iterate()],
      () => db.prepare("SELECT value FROM meta"),
      () => readMeta(db, "a"),
      () => db.exec("DELETE FROM meta"),
    ]),
  ];
  for (const use of refusals) {
    const error = t.throws(use, { instanceOf: IntegrityError, code: "STATE_UNUSABLE" });
    t.regex(error?.message ?? "", /state\.db: altered or damaged/);
  }
  db.close();
});

test("a schema that was set back is an altered database", (t) => {
  using at = place();
  const db = openStateDatabase(at.file);
  db.pragma("user_version = 0");
  db.close();
  const error = t.throws(() => openStateDatabase(at.file), { instanceOf: IntegrityError });
  t.is(error?.code, "STATE_UNUSABLE");
  t.regex(error?.message ?? "", /altered or damaged \(table meta already exists\)/);
});

test("rows are given one at a time, and a reader who stops holds nothing back", (t) => {
  using at = place();
  const db = openStateDatabase(at.file);
  for (const key of ["a", "b", "c"]) writeMeta(db, key, key);
  for (const _ of db.prepare("SELECT key FROM meta").iterate()) break;
  transact(db, () => writeMeta(db, "d", "d"));
  t.is(readMeta(db, "d"), "d");
  db.close();
});
