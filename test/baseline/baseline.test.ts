import test from "ava";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { spawnSync } from "node:child_process";
import { IntegrityError } from "../../src/core/error.ts";
import { createKey, loadKey, rotateKey } from "../../src/baseline/key.ts";
import { comparePaths, decodePath } from "../../src/core/path.ts";
import type { Baseline } from "../../src/baseline/baseline.ts";
import { openStateDatabase } from "../../src/node/database.ts";
import { transact } from "../../src/sqlite/open.ts";
import { digestRows } from "../../src/core/record/statement.ts";
import { State, approval, at, rowFor } from "../helpers/state.ts";
import { mountMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

function refusal(work: () => unknown): string {
  try {
    work();
    return "trusted";
  } catch (error) {
    return error instanceof IntegrityError ? `${error.code} ${error.message}` : String(error);
  }
}

function stop(): never {
  throw new Error("stop");
}

const anchor = (state: State): string => join(state.dir, "anchor.json");

test("what was captured is trusted, says what was approved, and outlives a restart", (t) => {
  using state = new State();
  const baseline = state.captured(3);
  const statement = baseline.trust();
  t.like(statement, { counter: 1, rows: 3, node: "cp-1", reason: "first", key: state.key.id });
  t.is(statement.previous, undefined);
  t.is(baseline.policy(), approval().policy.text);
  using again = new State(state.dir);
  t.deepEqual(again.baseline().trust(), statement);
  t.is(again.baseline().rows.get("/etc/file-1")?.ino, "1");
  t.deepEqual(
    [...again.baseline().rows.all()].map(({ path }) => path),
    ["/etc/file-0", "/etc/file-1", "/etc/file-2"],
  );
});

test("the signed digest is over the rows in the order of their bytes, whatever the order they came in", (t) => {
  using state = new State();
  const names = ["/b", "/a/b", "/a-b", "/a", "/\xe9", "/\xff", "/a/\x80x", "/\xf0\x9f\x98\x80"];
  const raw = names.map((name) => Buffer.from(name, "latin1"));
  const paths = raw.map(decodePath);
  const baseline = state.baseline();
  using capture = baseline.begin();
  for (const [n, path] of paths.entries()) capture.add([[path, rowFor(n)]]);
  const statement = baseline.finish(capture, approval());
  const sorted = raw
    .map((path, n) => [path, Buffer.from(rowFor(n))] as const)
    .toSorted((a, b) => Buffer.compare(a[0], b[0]));
  t.deepEqual(digestRows(sorted), { rows: statement.rows, digest: statement.digest });
  t.deepEqual(
    [...baseline.rows.all()].map(({ path }) => path),
    paths.toSorted(comparePaths),
  );
  t.is(baseline.trust().counter, 1);
});

test("no baseline yet is missing, and nothing else", (t) => {
  using state = new State();
  t.regex(
    refusal(() => state.baseline().trust()),
    /^BASELINE_MISSING .*none yet/,
  );
});

test("a second capture needs --replace, and goes on counting", (t) => {
  using state = new State();
  const first = state.captured().trust();
  const baseline = state.baseline();
  t.regex(
    refusal(() => baseline.begin()),
    /^BASELINE_EXISTS/,
  );
  using capture = baseline.begin({ replace: true });
  capture.add([["/etc/other", rowFor(9)]]);
  const second = baseline.finish(capture, approval({ reason: "rebuilt" }));
  t.like(baseline.trust(), { counter: 2, rows: 1, reason: "rebuilt" });
  t.not(second.previous, undefined);
  t.not(second.digest, first.digest);
});

test("of two captures that began together the second is refused", (t) => {
  using state = new State();
  using other = new State(state.dir);
  using capture = state.baseline().begin();
  capture.add([["/etc/a", rowFor(1)]]);
  other.captured();
  t.regex(
    refusal(() => state.baseline().finish(capture, approval())),
    /^BASELINE_EXISTS/,
  );
  t.is(state.baseline().trust().rows, 3);
});

test("an abandoned capture leaves nothing", (t) => {
  using state = new State();
  {
    using capture = state.baseline().begin();
    capture.add([["/etc/a", rowFor(1)]]);
  }
  t.false(existsSync(join(state.dir, "capture.tmp")));
  t.false(state.baseline().exists());
  t.is(state.captured().trust().rows, 3);
});

test("accepted rows are signed with the rest", (t) => {
  using state = new State();
  const baseline = state.captured();
  const changes = [
    { path: "/etc/file-0", row: rowFor(70) },
    { path: "/etc/file-1" },
    { path: "/etc/new", row: rowFor(71) },
  ];
  const reported: number[] = [];
  baseline.accept(
    changes,
    approval({ reason: "upgrade", also: ({ counter }) => void reported.push(counter) }),
  );
  t.like(baseline.trust(), { counter: 2, rows: 3, reason: "upgrade" });
  t.is(baseline.rows.get("/etc/file-0")?.ino, "70");
  t.is(baseline.rows.get("/etc/file-1"), undefined);
  t.deepEqual(reported, [2]);
});

test("what is done with the signature fails or succeeds with it", (t) => {
  using state = new State();
  const baseline = state.captured();
  t.throws(() => baseline.accept([{ path: "/etc/file-0" }], approval({ also: stop })), {
    message: "stop",
  });
  t.like(baseline.trust(), { counter: 1, rows: 3 });
  t.is(baseline.rows.count(), 3);
});

test("an altered row is not signed along with what is accepted", (t) => {
  using state = new State();
  const baseline = state.captured();
  state.db
    .prepare("UPDATE baseline SET row = ? WHERE path = ?")
    .run(Buffer.from(rowFor(66)), Buffer.from("/etc/file-2"));
  t.regex(
    refusal(() => baseline.accept([{ path: "/etc/file-0" }], approval())),
    /^BASELINE_UNTRUSTED .*rows/,
  );
  t.is(baseline.rows.count(), 3);
});

const alterations: readonly (readonly [
  what: string,
  word: RegExp,
  alter: (state: State) => void,
])[] = [
  [
    "a row's bytes",
    /UNTRUSTED .*rows altered: all 3 are there/,
    ({ db }) =>
      db
        .prepare("UPDATE baseline SET row = ? WHERE path = ?")
        .run(Buffer.from(rowFor(66)), Buffer.from("/etc/file-2")),
  ],
  [
    "a path",
    /UNTRUSTED .*rows altered/,
    ({ db }) =>
      db
        .prepare("UPDATE baseline SET path = ? WHERE path = ?")
        .run(Buffer.from("/etc/file-8"), Buffer.from("/etc/file-2")),
  ],
  [
    "a row too many",
    /UNTRUSTED .*rows altered: there are 4, signed are 3/,
    ({ db }) =>
      db
        .prepare("INSERT INTO baseline VALUES (?, ?)")
        .run(Buffer.from("/etc/x"), Buffer.from(rowFor(66))),
  ],
  [
    "a row too few",
    /UNTRUSTED .*rows altered: there are 2, signed are 3/,
    ({ db }) => db.prepare("DELETE FROM baseline WHERE path = ?").run(Buffer.from("/etc/file-1")),
  ],
  [
    "the statement",
    /UNTRUSTED .*signature altered/,
    ({ db }) => {
      const text = db.prepare<[], string>("SELECT envelope FROM statement").pluck().get() ?? "";
      const envelope = JSON.parse(text) as { payload: string };
      const payload = Buffer.from(envelope.payload, "base64")
        .toString()
        .replace('"rows":3', '"rows":2');
      const forged = { ...envelope, payload: Buffer.from(payload).toString("base64") };
      db.prepare("UPDATE statement SET envelope = ?").run(JSON.stringify(forged));
    },
  ],
  [
    "the counter",
    /UNTRUSTED .*counter altered: it says 9, signed is 1/,
    ({ db }) => db.exec("UPDATE statement SET counter = 9"),
  ],
  [
    "the policy",
    /UNTRUSTED .*policy altered/,
    ({ db }) => db.exec("UPDATE statement SET policy = '[]'"),
  ],
  [
    "the anchor",
    /UNTRUSTED .*anchor altered: .*was altered/,
    (state) => {
      const text = readFileSync(anchor(state), "utf8");
      const envelope = JSON.parse(text) as { payload: string };
      const payload = Buffer.from(envelope.payload, "base64")
        .toString()
        .replace('"counter":1', '"counter":0');
      writeFileSync(
        anchor(state),
        JSON.stringify({ ...envelope, payload: Buffer.from(payload).toString("base64") }),
      );
    },
  ],
  ["the anchor's existence", /UNTRUSTED .*anchor file is gone/, (state) => rmSync(anchor(state))],
  [
    "the statement's existence",
    /MISSING .*had one \(counter 1, says the anchor file\) and it is gone/,
    ({ db }) => db.exec("DELETE FROM statement"),
  ],
  [
    "the statement's and the anchor's",
    /MISSING .*none yet/,
    (state) => {
      state.db.exec("DELETE FROM statement");
      rmSync(anchor(state));
    },
  ],
];

for (const [what, word, alter] of alterations) {
  test(`a baseline is not trusted when this was altered: ${what}`, (t) => {
    using state = new State();
    const baseline = state.captured();
    alter(state);
    t.regex(
      refusal(() => baseline.trust()),
      word,
    );
  });
}

test("a key file that was replaced is named as such", (t) => {
  using state = new State();
  state.captured();
  rmSync(join(state.dir, "agent.key"));
  renameSync(anchor(state), `${anchor(state)}.aside`);
  const stranger = createKey(state.dir);
  renameSync(`${anchor(state)}.aside`, anchor(state));
  const sentence = refusal(() => state.baseline(stranger).trust());
  t.regex(
    sentence,
    new RegExp(`UNTRUSTED .*key altered: signed by ${state.key.id}, expected ${stranger.id}`),
  );
});

test("a database that was put back to an older state is noticed by the anchor", (t) => {
  using state = new State();
  const baseline = state.captured();
  state.db.pragma("wal_checkpoint(TRUNCATE)");
  const older = join(state.dir, "older.db");
  copyFileSync(state.file, older);
  baseline.accept([{ path: "/etc/file-0" }], approval());
  const { key, dir } = state;
  const old = openStateDatabase(older);
  const put =
    new (baseline.constructor as typeof import("../../src/baseline/baseline.ts").Baseline)(old, {
      stateDir: dir,
      key,
    });
  t.regex(
    refusal(() => put.trust()),
    /UNTRUSTED .*counter altered: rolled back to 1, the anchor file says 2/,
  );
  old.close();
});

/** A baseline that was signed so often, each time with its record in the chain. */
function recorded(
  state: State,
  times: number,
): { readonly baseline: Baseline; readonly accept: () => unknown } {
  const outbox = state.outbox();
  const baseline = state.baseline();
  const recording = approval({
    also: ({ counter, digest }) => {
      const body = () => ({ counter, digest });
      outbox.append([{ kind: "baseline", severity: "info", body }], at);
    },
  });
  const accept = (): unknown => baseline.accept([], recording);
  using capture = baseline.begin();
  capture.add([["/etc/file-0", rowFor(0)]]);
  baseline.finish(capture, recording);
  for (let time = 1; time < times; time += 1) accept();
  return { baseline, accept };
}

test("a database that was put back together with the anchor is noticed by the chain", (t) => {
  using state = new State();
  const { baseline, accept } = recorded(state, 1);
  const older = state.db.prepare("SELECT * FROM statement").get() as Record<string, unknown>;
  const oldAnchor = readFileSync(anchor(state));
  accept();
  t.is(baseline.trust().counter, 2);
  state.db
    .prepare("UPDATE statement SET counter = @counter, envelope = @envelope, policy = @policy")
    .run(older);
  writeFileSync(anchor(state), oldAnchor);
  t.regex(
    refusal(() => baseline.trust()),
    /UNTRUSTED .*counter altered: rolled back to 1, the chain says 2/,
  );
});

test("a chain from which the present baseline's record was cut off is noticed", (t) => {
  using state = new State();
  const { baseline } = recorded(state, 3);
  t.is(baseline.trust().counter, 3);
  const cutTo = (seq: number): void => {
    state.db.exec(`DELETE FROM record WHERE seq > ${seq}; DELETE FROM batch WHERE last > ${seq}`);
  };
  cutTo(3);
  t.regex(
    refusal(() => baseline.trust()),
    /UNTRUSTED .*counter altered: signed is 3, the chain ends with 2/,
  );
  cutTo(1);
  t.regex(
    refusal(() => baseline.trust()),
    /UNTRUSTED .*counter altered: the chain has no record of the baseline of counter 3/,
  );
});

test("a baseline whose record was pruned with all that came before is trusted", (t) => {
  using state = new State();
  const { baseline } = recorded(state, 2);
  state.db.exec("DELETE FROM record WHERE seq <= 3; DELETE FROM batch WHERE last <= 3");
  t.is(baseline.trust().counter, 2);
});

test("a database that was deleted is not silently captured again, and its counter is never used again", (t) => {
  using state = new State();
  state.captured();
  state.db.close();
  for (const end of ["", "-wal", "-shm"]) rmSync(state.file + end, { force: true });
  using fresh = new State(state.dir);
  const baseline = fresh.baseline();
  t.regex(
    refusal(() => baseline.begin()),
    /^BASELINE_MISSING .*counter 1/,
  );
  using capture = baseline.begin({ replace: true });
  capture.add([["/etc/a", rowFor(1)]]);
  const statement = baseline.finish(capture, approval({ reason: "after the loss" }));
  t.is(statement.counter, 2);
  t.regex(statement.previous ?? "", /^[0-9a-f]{64}$/);
  t.is(baseline.trust().counter, 2);
});

function makeHuge(file: string): void {
  writeFileSync(file, "");
  truncateSync(file, 2 ** 33);
}

test("what stands in the anchor's place is neither read nor waited for", (t) => {
  using state = new State();
  const baseline = state.captured();
  const aside = `${anchor(state)}.aside`;
  renameSync(anchor(state), aside);
  const replacements: readonly (readonly [found: RegExp, put: (file: string) => void])[] = [
    [/UNUSABLE .*a symbolic link/, (file) => symlinkSync(aside, file)],
    [/UNUSABLE .*not a file/, (file) => spawnSync("mkfifo", [file])],
    [/UNUSABLE .*not a file/, (file) => mkdirSync(file)],
    [/UNUSABLE .*E2BIG/, makeHuge],
  ];
  for (const [found, put] of replacements) {
    put(anchor(state));
    t.regex(
      refusal(() => baseline.trust()),
      found,
    );
    rmSync(anchor(state), { recursive: true });
  }
});

test("a directory in the place of the scratch file is left alone and reported", (t) => {
  using state = new State();
  mkdirSync(join(state.dir, "capture.tmp"));
  t.regex(
    refusal(() => state.captured()),
    /UNUSABLE .*capture\.tmp: a directory/,
  );
  t.true(existsSync(join(state.dir, "capture.tmp")));
});

test("a stop between the commit and the anchor is healed, not reported", (t) => {
  using state = new State();
  const baseline = state.captured();
  const behind = readFileSync(anchor(state));
  baseline.accept([{ path: "/etc/file-0" }], approval());
  const ahead = readFileSync(anchor(state));
  writeFileSync(anchor(state), behind);
  t.is(baseline.trust().counter, 2);
  t.deepEqual(readFileSync(anchor(state)), ahead);
});

test("after a rotation the baseline is trusted before and after it is signed again", (t) => {
  using state = new State();
  state.captured();
  const { after } = rotateKey(state.dir, at);
  const baseline = state.baseline(after);
  t.is(baseline.trust().key, state.key.id);
  baseline.accept([], approval({ reason: "key rotation" }));
  t.is(baseline.trust().key, after.id);
  t.regex(
    refusal(() => state.baseline(state.key).trust()),
    /key altered/,
  );
  t.is(loadKey(state.dir)?.id, after.id);
});

test("a hundred thousand rows are captured in bounded memory", (t) => {
  const program = fileURLToPath(import.meta.resolve("./capture-many.ts"));
  // The rows are 43 MB, and twice that as strings of JavaScript: held together they would not fit.
  const limits = ["--max-old-space-size=32", "--max-semi-space-size=4"];
  const run = spawnSync(process.execPath, [...limits, program], { encoding: "utf8" });
  t.is(run.status, 0, run.stderr);
  const { rows, grownBytes, ms } = JSON.parse(run.stdout) as {
    rows: number;
    grownBytes: number;
    ms: number;
  };
  t.log(`${ms.toFixed(0)} ms, ${(grownBytes / 2 ** 20).toFixed(0)} MiB more`);
  t.is(rows, 100_000);
  t.true(grownBytes < 64 * 2 ** 20, `${grownBytes}`);
});

needing(mountMissing())(
  "a full disk fails a capture, and the baseline that was there holds",
  (t) => {
    using state = new State();
    const disk = join(state.dir, "disk");
    const mounted = spawnSync("sh", [
      "-c",
      `mkdir ${disk} && mount -t tmpfs -o size=2m none ${disk}`,
    ]);
    t.is(mounted.status, 0);
    try {
      using small = new State(disk);
      const before = small.captured().trust();
      const fill = (): unknown => {
        using capture = small.baseline().begin({ replace: true });
        for (let n = 0; n < 20_000; n += 100)
          capture.add(
            Array.from({ length: 100 }, (_, i) => [`/etc/${n + i}`, rowFor(n + i)] as const),
          );
        return small.baseline().finish(capture, approval());
      };
      t.regex(refusal(fill), /^STATE_(?:FULL|UNUSABLE) .*(disk is full|cannot be)/);
      t.deepEqual(small.baseline().trust(), before);
      t.is(
        transact(small.db, () => small.baseline().rows.count()),
        3,
      );
    } finally {
      spawnSync("umount", [disk]);
    }
  },
);
