import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import Database from "better-sqlite3";
import pino from "pino";
import { openCollector, openKey } from "../../../src/collector/collector.ts";
import { evidenceOf } from "../../../src/collector/evidence/source.ts";
import { findAltered } from "../../../src/collector/log/check.ts";
import { Checkpoints } from "../../../src/collector/log/checkpoints.ts";
import { Scrub } from "../../../src/collector/log/scrub.ts";
import { Feed } from "../../../src/collector/feed.ts";
import { hashRecord } from "../../../src/core/record/chain.ts";
import { advance, openCheckpoint } from "../../../src/core/tlog/checkpoint.ts";
import type { Checkpoint } from "../../../src/core/tlog/checkpoint.ts";
import { parseVkey } from "../../../src/core/tlog/note.ts";
import type { NoteKey } from "../../../src/core/tlog/note.ts";
import { parseHashes } from "../../../src/core/tlog/proof-text.ts";
import { isIncluded } from "../../../src/core/tlog/proof.ts";
import { alterRecords, renamedIn } from "../../helpers/altered.ts";
import type { Alteration } from "../../helpers/altered.ts";
import { Reporter, newKey, send, startCollector } from "../../helpers/collector.ts";
import type { Serving } from "../../helpers/collector.ts";
import { until } from "../../helpers/wait.ts";

async function enrolled(
  serving: Serving,
  node = "cp-1",
): Promise<{ readonly reporter: Reporter; readonly keys: readonly NoteKey[] }> {
  const reporter = new Reporter(node);
  const { body } = await reporter.enrol(serving);
  const key = parseVkey(String((JSON.parse(body) as Record<string, unknown>)["checkpointKey"]));
  if (!key) throw new Error(`no key of the log: ${body}`);
  return { reporter, keys: [key] };
}

/** Sends batches until a checkpoint covers all records. */
async function covered(
  serving: Serving,
  reporter: Reporter,
  more = {},
): Promise<Checkpoint & { note: string; consistency: unknown }> {
  const { log } = serving.collector.store;
  await until(
    async () => (await serving.collector.checkpoints.latest()).size === (await log.tree()).size,
  );
  const nonce = (await (await fetch(`${serving.url}/v1/nonce`)).json()) as { nonce: string };
  const { body } = await send(serving, reporter.heartbeat(nonce.nonce), more);
  const { checkpoint: note, consistency } = body as { checkpoint: string; consistency: unknown };
  const opened = openCheckpoint(note, [serving.collector.checkpoints.key]);
  if (!opened) throw new Error(`no checkpoint: ${JSON.stringify(body)}`);
  return { ...opened, note, consistency };
}

test("every accepted record is a leaf, in the order of arrival, and what is refused is none", async (t) => {
  await using serving = await startCollector();
  const { reporter } = await enrolled(serving);
  const { reporter: other } = await enrolled(serving, "cp-2");
  const [first, second] = [reporter.batch(3), other.batch(2)];
  for (const lines of [first, second, first]) await send(serving, lines);
  t.is((await send(serving, other.batch(1, newKey()))).status, 401);
  const leaves = [first, second].flatMap((lines) =>
    lines
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line) => hashRecord(Buffer.from(line))),
  );
  const { log } = serving.collector.store;
  t.deepEqual(await log.leaves(0, 5), leaves);
  // The alarm about the refused batch is the collector's own record.
  t.is((await log.tree()).size, 6);
});

test("the records of a fork are kept in the log too", async (t) => {
  await using serving = await startCollector();
  const { reporter } = await enrolled(serving);
  const clone = reporter.clone();
  await send(serving, reporter.batch());
  t.is((await send(serving, clone.batch(2))).status, 409);
  t.is((await serving.collector.store.log.tree()).size, 4);
});

test("the answer to a batch has a checkpoint that an agent accepts, and the proof that the log goes on", async (t) => {
  await using serving = await startCollector();
  const { reporter, keys } = await enrolled(serving);
  await send(serving, reporter.batch(3));
  const older = await covered(serving, reporter);
  t.is(older.size, 3);
  t.is(older.origin, "fim-collector/test");
  await send(serving, reporter.batch(4));
  const size = { "fim-checkpoint-size": String(older.size) };
  const { note, consistency, ...newer } = await covered(serving, reporter, size);
  t.is(newer.size, 7);
  const proof = parseHashes(consistency) ?? t.fail();
  t.true(proof.length > 0);
  t.deepEqual(advance(older, note, { keys, proof }), { checkpoint: newer });
  const beyond = { "fim-checkpoint-size": "8" };
  t.is((await covered(serving, reporter, beyond)).consistency, undefined);
});

test("a collector shows no older checkpoint than another one of its store has shown", async (t) => {
  await using serving = await startCollector();
  const { reporter, keys } = await enrolled(serving);
  await send(serving, reporter.batch(3));
  t.is((await serving.collector.checkpoints.latest()).size, 3);
  // The other collector takes what this one does not look at.
  const { store, clock } = serving.collector;
  await send(serving, reporter.batch(4));
  const other = new Checkpoints({ store, key: newKey(), name: "other", clock });
  t.is((await other.latest()).size, 7);
  const { body } = await send(serving, reporter.batch(), { "fim-checkpoint-size": "7" });
  const shown = openCheckpoint(String(body["checkpoint"]), keys);
  t.true((shown?.size ?? 0) >= 7);
  t.truthy(parseHashes(body["consistency"]));
});

test("the newest checkpoint is public, and is made at most once a second", async (t) => {
  await using serving = await startCollector();
  const { reporter } = await enrolled(serving);
  const { store, clock } = serving.collector;
  let now = 0;
  const key = newKey();
  const checkpoints = new Checkpoints({ store, key, name: "soc", clock, elapsed: () => now });
  const sizes: number[] = [];
  for (const step of [0, 400, 400, 400, 1000]) {
    now += step;
    await send(serving, reporter.batch());
    sizes.push((await checkpoints.latest()).size);
  }
  t.deepEqual(sizes, [1, 1, 1, 4, 5]);
  const answer = await fetch(`${serving.url}/v1/checkpoint`);
  t.is(answer.headers.get("content-type"), "text/plain; charset=utf-8");
  const vkey = parseVkey(answer.headers.get("fim-checkpoint-key") ?? "");
  t.truthy(openCheckpoint(await answer.text(), vkey ? [vkey] : []));
});

test("the proof of an alert shows, offline, that its record is under a checkpoint", async (t) => {
  await using serving = await startCollector();
  const { reporter, keys } = await enrolled(serving);
  for (let n = 0; n < 5; n += 1) await send(serving, reporter.batch(2));
  const { body } = await serving.read("/v1/alerts?limit=1000");
  const items = body["items"] as readonly { readonly metadata: { readonly uid: string } }[];
  t.is(items.length, 10);
  for (const [n, { metadata }] of items.toReversed().entries()) {
    const text = await serving.text(`/v1/proof/${metadata.uid}`);
    const [head, note] = [
      text.slice(0, text.indexOf("\n\n")),
      text.slice(text.indexOf("\n\n") + 2),
    ];
    const [format, index, ...hashes] = head.split("\n");
    t.is(format, "c2sp.org/tlog-proof@v1");
    t.is(index, `index ${n}`);
    const checkpoint = openCheckpoint(note, keys) ?? t.fail();
    const alert = await serving.collector.store.alert(metadata.uid);
    const leaf = { index: n, hash: hashRecord(alert?.bytes ?? Buffer.alloc(0)) };
    t.true(isIncluded(leaf, checkpoint, parseHashes(hashes) ?? t.fail()));
    t.false(isIncluded({ ...leaf, index: n + 1 }, checkpoint, parseHashes(hashes) ?? []));
  }
  t.is((await serving.read("/v1/proof/none")).status, 404);
  t.is((await fetch(`${serving.url}/v1/proof/none`)).status, 401);
});

/** A state directory of a collector that stored some records and made a checkpoint, and was stopped. */
async function stopped(alter: (db: Database.Database) => void): Promise<string> {
  const state = mkdtempSync(join(tmpdir(), "fim-log-"));
  {
    await using serving = await startCollector({ state });
    const { reporter } = await enrolled(serving);
    for (let n = 0; n < 3; n += 1) await send(serving, reporter.batch(3));
    await covered(serving, reporter);
    await send(serving, reporter.batch());
  }
  const db = new Database(join(state, "collector.db"));
  // The last batch is under no checkpoint, however long it took.
  db.exec("DELETE FROM checkpoint WHERE size > 9");
  alter(db);
  db.close();
  return state;
}

const alterations: readonly (readonly [what: string, how: string | Alteration, message: RegExp])[] =
  [
    ["a record's bytes", renamedIn(4), /record 3 of its log is not the one that was stored/],
    [
      "a leaf",
      "UPDATE subtree SET hash = zeroblob(32) WHERE level = 0 AND place = 4",
      /its first 9 records are not those of its last checkpoint/,
    ],
    [
      "a leaf after the last checkpoint",
      "UPDATE subtree SET hash = zeroblob(32) WHERE level = 0 AND place = 9",
      /its 10 records do not give the tree that it notes/,
    ],
    [
      "a lost record",
      (record, seq) => (seq === 5 ? undefined : record),
      /record 4 of its log is not the one/,
    ],
    [
      "records that are no longer what was packed",
      "UPDATE record SET bytes = zeroblob(40) WHERE id = 4",
      /record 3 of its log is not the one/,
    ],
    ["a lost leaf", "DELETE FROM subtree WHERE place = 2", /record 2 of its log is missing/],
    [
      "the noted tree",
      `UPDATE meta SET value = '{"size":3,"hashes":[]}' WHERE key = 'log'`,
      /it holds 3 records, its last checkpoint 9/,
    ],
    [
      "the checkpoint",
      "UPDATE checkpoint SET note = replace(note, char(10) || '9' || char(10), char(10) || '8' || char(10))",
      /the last checkpoint of fim-collector\/test is not signed by this collector's key/,
    ],
  ];

for (const [what, how, message] of alterations)
  test(`a collector whose store was altered does not start: ${what}`, async (t) => {
    const state = await stopped((db) => {
      if (typeof how === "string") db.exec(how);
      else alterRecords(db, how);
    });
    const error = await t.throwsAsync(openCollector({ state, name: "test" }, Date.now), {
      message,
    });
    t.like(error, { code: "CHAIN_BROKEN" });
    t.regex(error?.message ?? "", /^the store was altered: /);
    rmSync(state, { recursive: true });
  });

test("a record that is altered while the collector runs is found in the next round, and is an alarm", async (t) => {
  const state = mkdtempSync(join(tmpdir(), "fim-log-"));
  {
    await using serving = await startCollector({ state });
    const { reporter } = await enrolled(serving);
    for (let n = 0; n < 100; n += 1) await send(serving, reporter.batch());
    const { collector } = serving;
    const options = { collector, feed: new Feed(), log: pino({ level: "silent" }), name: "test" };
    {
      await using _ = new Scrub({ ...options, pause: 1, every: 5 });
      t.is(await findAltered(collector.store.log, 0), undefined);
      const db = new Database(join(state, "collector.db"));
      alterRecords(db, renamedIn(80));
      db.close();
      await until(async () => (await serving.types()).includes("fim.collector.altered"));
    }
    const { body } = await serving.read("/v1/alerts?type=fim.collector.altered");
    t.regex(
      JSON.stringify(body["items"]),
      /the store was altered: record 79 of its log is not the one that was stored/,
    );
  }
  rmSync(state, { recursive: true });
});

test("a collector whose store is as it was starts again and goes on with its log", async (t) => {
  const state = await stopped(() => undefined);
  await using collector = await openCollector({ state, name: "test" }, Date.now);
  t.is((await collector.checkpoints.latest()).size, 10);
});

test("an export comes to its end although the records of a batch are gone", async (t) => {
  const state = mkdtempSync(join(tmpdir(), "fim-gone-"));
  {
    await using serving = await startCollector({ state });
    const { reporter } = await enrolled(serving);
    for (const count of [2, 1]) await send(serving, reporter.batch(count));
    serving.alter("DELETE FROM record");
    const { batches } = await evidenceOf(serving.collector.store, openKey(state));
    const found: number[] = [];
    for await (const { records } of batches) {
      found.push(records.length);
      if (found.length > 2) break;
    }
    t.deepEqual(found, [0, 0]);
  }
  rmSync(state, { recursive: true });
});
