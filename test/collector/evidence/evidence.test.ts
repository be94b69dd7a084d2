import { Buffer } from "node:buffer";
import test from "ava";
import fc from "fast-check";
import { verifyEvidence } from "../../../src/collector/evidence/verify.ts";
import type { EvidenceReport } from "../../../src/collector/evidence/verify.ts";
import { sealBatch } from "../../../src/core/record/batch.ts";
import { noteKey, printVkey } from "../../../src/core/tlog/note.ts";
import { rootOf } from "../../../src/core/tlog/tree.ts";
import { TestLog, Writer, evidenceFile, newKeys } from "../../helpers/log.ts";
import type { Entry } from "../../helpers/log.ts";

const collector = newKeys();
const key = collector.privateKey;
const alert = (path: string): Entry => ({ kind: "alert", body: { path } });

/** Two nodes that report in turn; the first is called cp-1 and has seven records, the second four. */
function twoNodes() {
  const one = new Writer("prod/cp-1/aa");
  const two = new Writer("prod/cp-2/bb");
  const log = new TestLog()
    .add(one.batch({ kind: "genesis", body: {} }, alert("/etc/é\n")))
    .add(two.batch({ kind: "genesis", body: {} }))
    .add(one.batch(alert("/etc/b"), alert("/etc/c"), alert("/etc/d")))
    .add(two.batch(alert("/etc/e"), alert("/etc/f"), alert("/etc/g")))
    .add(one.batch(alert("/etc/h"), alert("/etc/i")));
  return { log, one, two };
}

const isOf = (name: string) => (batch: { readonly chain: string }) =>
  batch.chain.startsWith(`${name}/`);

const linesOf = (file: Buffer): string[] => file.toString("latin1").slice(0, -1).split("\n");
const fileOf = (lines: readonly string[]): Buffer => Buffer.from(`${lines.join("\n")}\n`, "latin1");

function faultOf(report: EvidenceReport): Partial<Extract<EvidenceReport, { ok: false }>> {
  return report.ok ? { fault: "none" } : report;
}

const good = await evidenceFile(twoNodes().log.evidence(), key);

test("a whole export verifies from its bytes alone and says what it holds", async (t) => {
  const { log } = twoNodes();
  const file = await evidenceFile(log.evidence(), key);
  t.like(await verifyEvidence([file], collector.publicKey), {
    ok: true,
    key: printVkey(noteKey("fim-collector/soc", collector.publicKey)),
    checkpoint: { origin: "fim-collector/soc", size: 11, root: rootOf(log.tree) },
    chains: 2,
    records: 11,
    withheld: 0,
    pruned: 0,
    dropped: 0,
  });
});

test("the export of one node shows that its records are in the log of all", async (t) => {
  const { log } = twoNodes();
  const evidence = log.evidence(isOf("prod/cp-2"));
  const file = await evidenceFile(evidence, key, { node: "prod/cp-2" });
  t.like(await verifyEvidence([file]), {
    ok: true,
    node: "prod/cp-2",
    chains: 1,
    records: 4,
    withheld: 7,
  });
  t.false(file.includes("/etc/b"));
});

test("an export of any batches of any log verifies, however its bytes arrive", async (t) => {
  const shape = fc.array(
    fc.tuple(fc.nat({ max: 3 }), fc.integer({ min: 1, max: 5 }), fc.boolean()),
    {
      minLength: 1,
      maxLength: 25,
    },
  );
  const property = fc.asyncProperty(shape, fc.integer({ min: 1, max: 2000 }), async (all, size) => {
    const writers = Array.from({ length: 4 }, (_, n) => new Writer(`prod/cp-${n}/1`));
    const log = new TestLog();
    for (const [n, records] of all)
      log.add(writers[n]?.batch(...Array.from({ length: records }, () => alert("/x"))) ?? t.fail());
    // A chain may begin and end anywhere in the file, but has no hole.
    const chosen = all.map(([, , isIn]) => isIn);
    const from = chosen.indexOf(true);
    const file = await evidenceFile(
      log.evidence(({ leaf }) => from >= 0 && leaf >= (log.batches[from]?.leaf ?? 0)),
      key,
    );
    const chunks: Buffer[] = [];
    for (let at = 0; at < file.length; at += size) chunks.push(file.subarray(at, at + size));
    t.like(await verifyEvidence(chunks), { ok: true });
  });
  await fc.assert(property, { numRuns: 50 });
});

test("an empty log has evidence too", async (t) => {
  const file = await evidenceFile(new TestLog().evidence(), key);
  t.like(await verifyEvidence([file]), { ok: true, records: 0, withheld: 0 });
});

test("a file by another key than the trusted one is refused", async (t) => {
  const report = await verifyEvidence([good], newKeys().publicKey);
  t.regex(
    faultOf(report).fault ?? "",
    /^the file is by the key fim-collector\/soc\+.*not trusted$/,
  );
});

// Line 1 is the head, 2 introduces cp-1, 3 begins its batch; 4 is the envelope, 5 and 6 are its records.
const line = (n: number): string => linesOf(good)[n - 1] ?? "";

const without = async (from: number, count = 1) =>
  faultOf(await verifyEvidence([fileOf(linesOf(good).toSpliced(from - 1, count))]));

test("a dropped record, batch, introduction or head is named", async (t) => {
  t.is(line(11), '{"leaf":3,"chain":0}');
  t.like(await without(13), { line: 13, chain: "prod/cp-1/aa", seq: 3 });
  t.like(await without(14), { chain: "prod/cp-1/aa", seq: 4, line: 14 });
  t.like(await without(11, 5), {
    line: 11,
    chain: "prod/cp-2/bb",
    fault: "expected record 3 of the log, found 6",
  });
  t.like(await without(2), { line: 2, fault: "chain number 0 was not introduced" });
  t.like(await without(1), { line: 1, fault: "expected the first line of an evidence file" });
});

test("an altered record, envelope, signature, leaf or checkpoint is named", async (t) => {
  const edited = async (n: number, from: RegExp | string, to: string) => {
    const lines = linesOf(good);
    const before = lines[n - 1] ?? "";
    lines[n - 1] = before.replace(from, to);
    t.not(lines[n - 1], before);
    return faultOf(await verifyEvidence([fileOf(lines)]));
  };
  t.like(await edited(14, "/etc/c", "/etc/x"), {
    line: 14,
    chain: "prod/cp-1/aa",
    seq: 4,
    fault: "this record or the next was altered",
  });
  t.like(await edited(15, "/etc/d", "/etc/x"), {
    line: 15,
    seq: 5,
    fault: "the last record was altered",
  });
  t.like(await edited(12, /"sig":"./, '"sig":"_'), {
    line: 12,
    seq: 3,
    fault: "expected a batch's envelope",
  });
  t.like(await edited(12, /"sig":"(.)(.)/, '"sig":"$2$1'), {
    line: 12,
    seq: 3,
    chain: "prod/cp-1/aa",
  });
  t.like(await edited(11, "3", "4"), { line: 11, fault: "expected record 3 of the log, found 4" });
  t.like(await edited(11, '"chain":0', '"chain":1'), { line: 12, chain: "prod/cp-2/bb" });
  t.like(await edited(1, "soc\\n11\\n", "soc\\n12\\n"), {
    line: 1,
    fault: "the signature of the checkpoint does not hold",
  });
});

const nameOf = (text: string) => /"name":"([^"]+)"/.exec(text)?.[1] ?? "";

const keyOf = (text: string) => /"publicKey":"([^"]+)"/.exec(text)?.[1] ?? "";

test("reordered lines and swapped chains are named", async (t) => {
  const swapped = async (a: number, b: number) => {
    const lines = linesOf(good);
    [lines[a - 1], lines[b - 1]] = [lines[b - 1] ?? "", lines[a - 1] ?? ""];
    return faultOf(await verifyEvidence([fileOf(lines)]));
  };
  t.like(await swapped(13, 14), { line: 13, seq: 3, fault: "expected record 3, found 4" });
  t.like(await swapped(4, 5), { line: 4, chain: "prod/cp-1/aa", seq: 1 });
  const lines = linesOf(good);
  const [one = "", two = ""] = [lines[1], lines[6]];
  const renamed = lines.with(1, one.replace(nameOf(one), nameOf(two)));
  t.like(faultOf(await verifyEvidence([fileOf(renamed)])), {
    line: 2,
    fault: "the enrolment is of node prod/cp-1",
  });
  const elsewhere = lines.with(1, one.replace(nameOf(one), "prod/cp-1/zz"));
  t.like(faultOf(await verifyEvidence([fileOf(elsewhere)])), {
    line: 4,
    fault: "expected chain prod/cp-1/zz, found prod/cp-1/aa",
  });
  const rekeyed = lines.with(1, one.replace(keyOf(one), keyOf(two)));
  t.regex(faultOf(await verifyEvidence([fileOf(rekeyed)])).fault ?? "", /not trusted$/);
});

test("a whole batch that is put before another, with its place, is named", async (t) => {
  const { log } = twoNodes();
  const [a, b, c, d, e] = log.batches;
  const other = new TestLog();
  for (const one of [a, b, d, c, e]) other.add(one ?? t.fail());
  const file = await evidenceFile({ ...other.evidence(), tree: log.tree }, key);
  t.like(faultOf(await verifyEvidence([file])), {
    fault: "the records are not those under the checkpoint",
  });
});

test("a replaced signature is named, even by the collector itself", async (t) => {
  const { log, one } = twoNodes();
  const forger = new Writer(one.chain);
  forger.head = one.head;
  const forged = forger.batch(alert("/etc/z"));
  const file = await evidenceFile(log.add(forged).evidence(), key);
  t.like(faultOf(await verifyEvidence([file])), { chain: one.chain, seq: 8 });
  t.regex(faultOf(await verifyEvidence([file])).fault ?? "", /which is not trusted$/);
});

test("a record that the collector left out of the middle of a chain is named", async (t) => {
  const { log, one } = twoNodes();
  const hidden = log.batches[2] ?? t.fail();
  const file = await evidenceFile(
    log.evidence((batch) => batch !== hidden),
    key,
  );
  t.deepEqual(await verifyEvidence([file]), {
    ok: false,
    line: 19,
    chain: one.chain,
    seq: 3,
    fault: "records 3 to 5 are missing, and no record says that the node pruned them",
  });
});

test("a log that a collector rewrote does not have the root of its checkpoint", async (t) => {
  const { log } = twoNodes();
  const rewritten = new TestLog();
  for (const batch of log.batches.slice(0, 4)) rewritten.add(batch);
  rewritten.add(new Writer("prod/cp-9/aa").batch(alert("/a"), alert("/b")));
  const file = await evidenceFile({ ...rewritten.evidence(), tree: log.tree }, key);
  t.like(faultOf(await verifyEvidence([file])), {
    line: linesOf(file).length,
    fault: "the records are not those under the checkpoint",
  });
});

test("a file that was cut anywhere, or goes on after its end, is refused", async (t) => {
  for (let length = 0; length < good.length; length += 7)
    t.false((await verifyEvidence([good.subarray(0, length)])).ok, String(length));
  t.like(faultOf(await verifyEvidence([good.subarray(0, -1)])), {
    fault: "the file ends in the middle of a line",
  });
  t.like(faultOf(await verifyEvidence([Buffer.concat([good, Buffer.from("\n")])])), {
    fault: "the file goes on after its signature",
  });
  const lines = linesOf(good);
  t.like(faultOf(await verifyEvidence([fileOf(lines.slice(0, -1))])), {
    line: lines.length,
    fault: "the file ends before its signature",
  });
  t.like(faultOf(await verifyEvidence([])), { fault: "the file is empty" });
});

test("a line without end is refused before it fills the memory", async (t) => {
  function* endless(): Generator<Buffer> {
    for (let n = 0; n < 100; n += 1) yield Buffer.alloc(1024 * 1024, 0x20);
    t.fail("read on");
  }
  t.like(faultOf(await verifyEvidence(endless())), { line: 1, fault: "the line is too long" });
});

test("a batch without end is refused before it fills the memory", async (t) => {
  const keys = newKeys();
  const writer = new Writer("prod/cp-1/a", keys);
  const batch = writer.batch(alert("/a"));
  const facts = { chain: writer.chain, prev: "aa", head: "bb", at: "" };
  const endless = sealBatch({ ...facts, first: 2, last: 2 ** 50 }, keys.privateKey);
  const forged = { ...batch, envelope: JSON.stringify(endless) };
  const file = await evidenceFile(new TestLog().add(forged).evidence(), key);
  const head = fileOf(linesOf(file).slice(0, 4));
  function* chunks(): Generator<Buffer> {
    yield head;
    const record = Buffer.concat([Buffer.alloc(1024 * 1024, 0x20), Buffer.from("\n")]);
    for (let n = 0; n < 200; n += 1) yield record;
    t.fail("read on");
  }
  t.like(faultOf(await verifyEvidence(chunks())), {
    chain: "prod/cp-1/a",
    fault: "the batch is larger than any is",
  });
});

test("no change of a byte, no lost and no added byte is ever called good", async (t) => {
  const { log } = twoNodes();
  const some = await evidenceFile(log.evidence(isOf("prod/cp-1")), key, {
    node: "prod/cp-1",
    since: "2026-11-01T00:00:00.000Z",
  });
  t.true((await verifyEvidence([good])).ok && (await verifyEvidence([some])).ok);
  const edit = fc.tuple(
    fc.constantFrom(good, some),
    fc.constantFrom("set", "drop", "insert"),
    fc.nat(),
    fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(10, 13, 32, 9, 34, 48)),
  );
  const property = fc.asyncProperty(edit, async ([file, how, n, byte]) => {
    const place = n % file.length;
    const edited = Buffer.concat([
      file.subarray(0, place),
      how === "drop" ? Buffer.alloc(0) : Buffer.of(byte),
      file.subarray(how === "insert" ? place : place + 1),
    ]);
    return edited.equals(file) || !(await verifyEvidence([edited])).ok;
  });
  await fc.assert(property, { numRuns: 1500 });
  t.pass();
});

const exported = async (chain: string, enrolment: string | undefined) => {
  const { enrolment: _, ...rest } = new Writer(chain).batch(alert("/a"));
  const batch = { ...rest, ...(enrolment !== undefined && { enrolment }) };
  return faultOf(
    await verifyEvidence([await evidenceFile(new TestLog().add(batch).evidence(), key)]),
  );
};

test("a chain without an enrolment of its node is refused, unless it is a collector's own", async (t) => {
  const { log } = twoNodes();
  const [one, two] = log.batches;
  t.like(await exported("fim-collector/soc/1", undefined), { fault: "none" });
  t.like(await exported("prod/cp-1/1", undefined), {
    line: 2,
    chain: "prod/cp-1/1",
    fault: "the chain comes without an enrolment, and is no collector's own",
  });
  t.like(await exported("prod/cp-1/1", two?.enrolment), {
    fault: "the enrolment is of node prod/cp-2",
  });
  const forged = one?.enrolment?.replace(/"sig":"(.)(.)/, '"sig":"$2$1');
  t.like(await exported("prod/cp-1/1", forged), {
    fault: "the enrolment is not signed by the key that it names",
  });
});

test("a chain by a key that its node no longer uses is counted", async (t) => {
  const { log } = twoNodes();
  const before = new Writer("prod/cp-1/zz");
  const { enrolment = "" } = log.batches[0] ?? {};
  log.add({ ...before.batch(alert("/a")), enrolment });
  t.like(await verifyEvidence([await evidenceFile(log.evidence(), key)]), {
    ok: true,
    formerKeys: 1,
  });
});

test("a key that was replaced signs on in the same chain, and its old one no more", async (t) => {
  const writer = new Writer("prod/cp-1/aa");
  const log = new TestLog()
    .add(writer.batch({ kind: "genesis", body: {} }))
    .add(writer.rekey(newKeys()))
    .add(writer.batch(alert("/a")));
  t.like(await verifyEvidence([await evidenceFile(log.evidence(), key)]), { ok: true, records: 3 });
});

test("records that the node pruned are counted, and so are those that it dropped", async (t) => {
  const writer = new Writer("prod/cp-1/aa");
  const log = new TestLog().add(writer.batch({ kind: "genesis", body: {} }));
  writer.batch(alert("/a"), alert("/b"), alert("/c"));
  log.add(writer.batch({ kind: "dropped", body: { event: "dropped", count: 7 } }));
  const unexplained = await evidenceFile(log.evidence(), key);
  t.like(faultOf(await verifyEvidence([unexplained])), {
    seq: 2,
    fault: "records 2 to 4 are missing, and no record says that the node pruned them",
  });
  log.add(writer.batch({ kind: "agent", body: { event: "pruned", through: 3 } }));
  t.false((await verifyEvidence([await evidenceFile(log.evidence(), key)])).ok);
  log.add(writer.batch({ kind: "agent", body: { event: "pruned", through: 4 } }));
  t.like(await verifyEvidence([await evidenceFile(log.evidence(), key)]), {
    ok: true,
    pruned: 3,
    dropped: 7,
    records: 4,
  });
});

test("a branch that conflicts with a chain is verified beside it", async (t) => {
  const { log, one } = twoNodes();
  const clone = new Writer(one.chain, one.keys);
  clone.head = { seq: 5, hash: one.head.hash };
  log.add({ ...clone.batch(alert("/etc/clone")), branch: 1 });
  log.add({ ...clone.batch(alert("/etc/clone-2")), branch: 1 });
  t.like(await verifyEvidence([await evidenceFile(log.evidence(), key)]), { ok: true, chains: 3 });
});
