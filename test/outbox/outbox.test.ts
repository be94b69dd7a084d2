import test from "ava";
import fc from "fast-check";
import { generateKeyPairSync } from "node:crypto";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { rotateKey } from "../../src/baseline/key.ts";
import type { Rotation } from "../../src/baseline/key.ts";
import { PresentKey } from "../../src/baseline/present.ts";
import { genesisHead, parseRecord } from "../../src/core/record/chain.ts";
import { parseEnvelope, rawPublicKey } from "../../src/core/record/dsse.ts";
import { IntegrityError } from "../../src/core/error.ts";
import { maxBatchRecords, Outbox } from "../../src/outbox/outbox.ts";
import type { Entry } from "../../src/outbox/outbox.ts";
import { verifyChain } from "../../src/outbox/verify.ts";
import { transact, writeMeta } from "../../src/sqlite/open.ts";
import { State, at } from "../helpers/state.ts";
import { mountMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

function alert(n: number): Entry {
  return { kind: "alert", severity: "high", body: (seq) => ({ n, seq }) };
}

function append(state: State, outbox: Outbox, count: number): void {
  const entries = Array.from({ length: count }, (_, n) => alert(n));
  transact(state.db, () => outbox.append(entries, at));
}

function verify({ db, key }: State): ReturnType<typeof verifyChain> {
  return verifyChain(db, [key.publicKey, ...key.past]);
}

test("a chain begins once, with a record bound to the agent's key", (t) => {
  using state = new State();
  const outbox = state.outbox();
  const again = state.outbox();
  t.deepEqual(again.head(), outbox.head());
  t.is(again.chain, "prod/cp-1/1");
  const bytes = state.db.prepare<[], Buffer>("SELECT bytes FROM record").pluck().all();
  t.is(bytes.length, 1);
  const genesis = parseRecord(bytes[0] ?? Buffer.alloc(0));
  t.like(genesis, { seq: 1, kind: "genesis", body: { node: "cp-1", cluster: "prod" } });
  t.is(genesis?.prev, genesisHead(rawPublicKey(state.key.publicKey)).hash);
  t.like(verify(state), { ok: true, records: 1, first: 1, last: 1 });
});

test("a record knows its own number, and many make batches that a receiver can hold", (t) => {
  using state = new State();
  const outbox = state.outbox();
  append(state, outbox, 2 * maxBatchRecords + 1);
  const bodies = state.db
    .prepare<[], Buffer>("SELECT bytes FROM record WHERE seq > 1 ORDER BY seq")
    .pluck()
    .all();
  for (const bytes of bodies) {
    const record = parseRecord(bytes);
    t.like(record?.body, { seq: record?.seq });
  }
  t.is(state.db.prepare("SELECT count(*) FROM batch").pluck().get(), 4);
  t.like(verify(state), { ok: true, records: 2 * maxBatchRecords + 2 });
});

test("nothing is appended outside a transaction, and nothing of one that was rolled back", (t) => {
  using state = new State();
  const outbox = state.outbox();
  t.throws(() => outbox.append([alert(1)], at), { message: /without a transaction/ });
  const before = outbox.head();
  t.throws(() =>
    transact(state.db, () => {
      outbox.append([alert(1)], at);
      throw new Error("stop");
    }),
  );
  t.deepEqual(outbox.head(), before);
  append(state, outbox, 1);
  t.is(outbox.head().seq, 2);
  t.true(verify(state).ok);
});

test("two processes may append to one chain", (t) => {
  using state = new State();
  using other = new State(state.dir);
  const one = state.outbox();
  const two = other.outbox();
  for (let n = 0; n < 5; n += 1) {
    append(state, one, 2);
    append(other, two, 3);
  }
  t.like(verify(state), { ok: true, records: 26 });
});

test("any edit of any byte of a record or an envelope is found", (t) => {
  using state = new State();
  const outbox = state.outbox();
  for (let n = 0; n < 4; n += 1) append(state, outbox, 3);
  const targets = fc.oneof(edit("bytes", "record", "seq"), edit("envelope", "batch", "last"));
  fc.assert(
    fc.property(
      targets,
      fc.nat({ max: 100_000 }),
      fc.integer({ min: 1, max: 127 }),
      (target, where, flip) => {
        const [table, column, key, n] = target.split(" ");
        const get = state.db
          .prepare<[number], Buffer | string>(`SELECT ${column} FROM ${table} WHERE ${key} = ?`)
          .pluck();
        const was = get.get(Number(n));
        if (was === undefined) return true;
        const bytes = Buffer.from(was);
        const index = where % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ flip;
        const put = state.db.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${key} = ?`);
        put.run(typeof was === "string" ? bytes.toString("latin1") : bytes, Number(n));
        const report = verify(state);
        put.run(was, Number(n));
        return !report.ok || isMalleable(String(was), bytes.toString("latin1"));
      },
    ),
    { numRuns: 600 },
  );
  t.true(verify(state).ok);
});

function edit(column: string, table: string, key: string): fc.Arbitrary<string> {
  return fc.nat({ max: 12 }).map((n) => `${table} ${column} ${key} ${n + 1}`);
}

/** Base64 decoders pass over the spare bits of the last letter: another text, the same bytes. */
function isMalleable(was: string, is: string): boolean {
  return decoded(was) === decoded(is);
}

function decoded(text: string): string {
  const base64 = new Set(["payload", "sig"]);
  try {
    const value: unknown = JSON.parse(text, (key, one: unknown) =>
      base64.has(key) ? Buffer.from(String(one), "base64").toString("hex") : one,
    );
    return JSON.stringify(value);
  } catch {
    return text;
  }
}

const cuts: readonly (readonly [what: string, sql: string, word: RegExp, seq: number])[] = [
  ["a record", "DELETE FROM record WHERE seq = 6", /expected record 6, found 7/, 6],
  [
    "a batch",
    "DELETE FROM batch WHERE last = 7; DELETE FROM record WHERE seq BETWEEN 5 AND 7",
    /expected 5, found 8/,
    5,
  ],
  [
    "the last records",
    "DELETE FROM batch WHERE last > 7; DELETE FROM record WHERE seq > 7",
    /ends at 7, expected 13/,
    8,
  ],
  [
    "the first records",
    "DELETE FROM batch WHERE last < 5; DELETE FROM record WHERE seq < 5",
    /expected 1, found 5/,
    1,
  ],
  [
    "a record too many",
    "INSERT INTO record SELECT 14, kind, severity, size, total, bytes FROM record WHERE seq = 13",
    /14 records, signed are 13/,
    14,
  ],
  ["everything", "DELETE FROM batch; DELETE FROM record", /there is no chain/, 1],
];

for (const [what, sql, word, seq] of cuts) {
  test(`what was cut out or put in is found: ${what}`, (t) => {
    using state = new State();
    const outbox = state.outbox();
    for (let n = 0; n < 4; n += 1) append(state, outbox, 3);
    t.true(verify(state).ok);
    state.db.exec(sql);
    const report = verify(state);
    t.false(report.ok);
    if (!report.ok) {
      t.regex(report.fault, word);
      t.is(report.seq, seq);
    }
  });
}

for (const label of ["kind = 'baseline'", "severity = 0", "size = 1"])
  test(`what stands beside a signed record must say the same as it: ${label}`, (t) => {
    using state = new State();
    const entry: Entry = { kind: "alert", severity: "high", body: () => ({ severity_id: 4 }) };
    const outbox = state.outbox();
    transact(state.db, () => outbox.append([entry, entry], at));
    t.true(verify(state).ok);
    state.db.exec(`UPDATE record SET ${label} WHERE seq = 2`);
    t.like(verify(state), { ok: false, seq: 2 });
  });

test("where a chain begins is a number", (t) => {
  using state = new State();
  state.outbox();
  writeMeta(state.db, "pruned", "many");
  t.like(verify(state), { ok: false, seq: 1 });
});

test("records that were cut off are not covered up by those that follow", (t) => {
  using state = new State();
  const outbox = state.outbox();
  append(state, outbox, 3);
  append(state, outbox, 3);
  state.db.exec("DELETE FROM batch WHERE last > 4; DELETE FROM record WHERE seq > 4");
  append(state, outbox, 1);
  t.like(verify(state), { ok: false, seq: 5 });
});

test("a head that was put back is refused", (t) => {
  using state = new State();
  const outbox = state.outbox();
  const old =
    state.db.prepare<[], string>("SELECT value FROM meta WHERE key = 'head'").pluck().get() ?? "";
  append(state, outbox, 3);
  transact(state.db, () => writeMeta(state.db, "head", old));
  const error = t.throws(() => append(state, outbox, 1), { instanceOf: IntegrityError });
  t.is(error?.code, "CHAIN_BROKEN");
});

test("a chain by a stranger's key is not sound", (t) => {
  using state = new State();
  state.outbox();
  const { publicKey } = generateKeyPairSync("ed25519");
  const report = verifyChain(state.db, [publicKey]);
  t.like(report, {
    ok: false,
    seq: 1,
    fault: `the batch is signed by ${state.key.id}, which is not trusted`,
  });
});

test("a chain goes on under a new key, which the old one signed for", (t) => {
  using state = new State();
  const outbox = state.outbox();
  append(state, outbox, 1);
  const { before, after } = rotateKey(state.dir, at);
  const body = (): unknown => ({ publicKey: rawPublicKey(after.publicKey).toString("base64") });
  transact(state.db, () => outbox.append([{ kind: "rekey", severity: "medium", body }], at));
  append(state, state.outbox(after), 2);
  t.like(verifyChain(state.db, [before.publicKey]), { ok: true, records: 5 });
  t.like(verifyChain(state.db, [after.publicKey, ...after.past]), { ok: true, records: 5 });
  t.false(verifyChain(state.db, [after.publicKey]).ok);
});

/** Rotates the key, and the record of it, by the old key. */
function rotate(state: State, outbox: Outbox): Rotation {
  const record = ({ after }: Rotation): void => {
    const publicKey = rawPublicKey(after.publicKey).toString("base64");
    outbox.append([{ kind: "rekey", severity: "info", body: () => ({ publicKey }) }], at);
  };
  return transact(state.db, () => rotateKey(state.dir, at, record));
}

test("a key that was replaced signs nothing any more", (t) => {
  using state = new State();
  const old = state.outbox();
  append(state, old, 1);
  const { before, after } = rotate(state, old);
  const next = rotate(state, state.outbox(after)).after;
  const keys = [next.publicKey, ...next.past];
  t.true(verifyChain(state.db, keys).ok);
  append(state, old, 2);
  const fault = `the batch is signed by ${before.id}, which was replaced before`;
  for (const trusted of [keys, [before.publicKey]])
    t.deepEqual(verifyChain(state.db, trusted), { ok: false, seq: 5, fault });
});

test("a rotation that was killed before its record leaves a sound chain, in which the old key is retired all the same", (t) => {
  using state = new State();
  const old = state.outbox();
  append(state, old, 1);
  const { before, after } = rotateKey(state.dir, at);
  const keys = [after.publicKey, ...after.past];
  t.true(verifyChain(state.db, keys).ok);
  append(state, state.outbox(after), 1);
  t.like(verifyChain(state.db, keys), { ok: true, records: 3 });
  append(state, old, 1);
  t.like(verifyChain(state.db, keys), {
    ok: false,
    seq: 4,
    fault: `the batch is signed by ${before.id}, which was replaced before`,
  });
});

test("an outbox signs with the key that is in force, though another process rotated it", (t) => {
  using state = new State();
  const key = new PresentKey(state.dir, state.key);
  const outbox = new Outbox(state.db, {
    get key() {
      return key.privateKey;
    },
    genesis: { chain: "prod/cp-1/1", at, body: {} },
  });
  append(state, outbox, 1);
  for (let n = 0; n < 2; n += 1) {
    const { after } = rotate(state, outbox);
    append(state, outbox, 1);
    const envelope = state.db
      .prepare<[], string>("SELECT envelope FROM batch ORDER BY last DESC LIMIT 1")
      .pluck()
      .get();
    t.is(parseEnvelope(envelope ?? "")?.signatures[0]?.keyid, after.id);
  }
  t.like(verifyChain(state.db, [key.publicKey, ...key.past]), { ok: true, records: 6 });
});

needing(mountMissing())("a full disk fails the append, and the chain stays sound", (t) => {
  using state = new State();
  const disk = join(state.dir, "disk");
  const mounted = spawnSync("sh", [
    "-c",
    `mkdir ${disk} && mount -t tmpfs -o size=2m none ${disk}`,
  ]);
  t.is(mounted.status, 0);
  try {
    using small = new State(disk);
    const outbox = small.outbox();
    let appended = 1;
    const error = t.throws(
      () => {
        for (; appended < 100_000; appended += 20) append(small, outbox, 20);
      },
      { instanceOf: IntegrityError },
    );
    t.is(error?.code, "STATE_FULL");
    t.truthy(error?.hint);
    t.like(verify(small), { ok: true, records: appended });
  } finally {
    spawnSync("umount", [disk]);
  }
});
