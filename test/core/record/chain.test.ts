import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import {
  follow,
  genesisHead,
  hashRecord,
  link,
  parseRecord,
} from "../../../src/core/record/chain.ts";
import type { Head, Linked, RecordKind } from "../../../src/core/record/chain.ts";

const chain = "prod/cp-1/1";
const genesis = genesisHead(Buffer.alloc(32, 7));
const kinds: readonly RecordKind[] = ["genesis", "alert", "agent", "baseline", "dropped", "rekey"];
const entry = fc.record({
  at: fc.constant("2026-11-23T03:21:41.123Z"),
  kind: fc.constantFrom(...kinds),
  body: fc.jsonValue(),
});
const entries = fc.array(entry, { minLength: 1, maxLength: 6 });

function linkAll(all: readonly Parameters<typeof link>[2][]): Linked[] {
  let head: Head = genesis;
  return all.map((one) => {
    const linked = link(head, chain, one);
    head = linked;
    return linked;
  });
}

function bytesOf(records: readonly Linked[]): Buffer[] {
  return records.map(({ bytes }) => bytes);
}

/** The fault, or "moved" when only the head reports; undefined when nothing is found. */
function found(records: readonly Buffer[], head: Head | undefined): string | undefined {
  const result = follow(genesis, chain, records);
  if ("fault" in result) return result.fault.kind;
  return result.head.hash === head?.hash && result.head.seq === head.seq ? undefined : "moved";
}

test("a leaf is hashed as RFC 6962 says", (t) => {
  // RFC 6962 §2.1: SHA-256(0x00), the known hash of the empty leaf.
  t.is(
    hashRecord(Buffer.alloc(0)),
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  );
});

test("the first record is bound to the public key", (t) => {
  const key = Buffer.alloc(32, 7);
  const expected = createHash("sha256").update(Buffer.of(0)).update(key).digest("hex");
  t.deepEqual(genesis, { seq: 0, hash: expected });
  t.not(genesisHead(Buffer.alloc(32, 8)).hash, genesis.hash);
});

test("a chain that was linked is followed to its head", (t) => {
  fc.assert(
    fc.property(entries, (all) => {
      const records = linkAll(all);
      t.is(found(bytesOf(records), records.at(-1)), undefined);
      t.deepEqual(
        records.map(({ seq }) => seq),
        all.map((_, index) => index + 1),
      );
    }),
  );
});

test("any edit of a single byte is found", (t) => {
  fc.assert(
    fc.property(
      entries,
      fc.nat(),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (all, which, where, flip) => {
        const records = linkAll(all);
        const edited = bytesOf(records).map((bytes) => Buffer.from(bytes));
        const victim = edited[which % edited.length] ?? Buffer.alloc(1);
        const at = where % victim.length;
        victim[at] = (victim[at] ?? 0) ^ flip;
        t.truthy(found(edited, records.at(-1)));
      },
    ),
    { numRuns: 1000 },
  );
});

test("a record that is left out, doubled, swapped or cut off at the end is found", (t) => {
  const records = linkAll(
    ["a", "b", "c"].map((body) => ({ at: "x", kind: "alert", body }) as const),
  );
  const [a, b, c] = bytesOf(records) as [Buffer, Buffer, Buffer];
  const head = records.at(-1);
  t.is(found([a, c], head), "sequence");
  t.is(found([b, c], head), "sequence");
  t.is(found([a, a, b, c], head), "sequence");
  t.is(found([a, c, b], head), "sequence");
  t.is(found([a, b], head), "moved");
  t.is(found([a, b, Buffer.from("{"), c], head), "unreadable");
});

test("the record of another chain, or behind another record, is found", (t) => {
  const [first] = linkAll([{ at: "x", kind: "agent", body: {} }]);
  const other = link(genesis, "prod/cp-2/1", { at: "x", kind: "agent", body: {} });
  const stranger = link({ seq: 1, hash: "00".repeat(32) }, chain, {
    at: "x",
    kind: "agent",
    body: {},
  });
  t.deepEqual(follow(genesis, chain, [other.bytes]), { fault: { kind: "link", seq: 1 } });
  t.deepEqual(follow(genesis, chain, [first?.bytes ?? t.fail(), stranger.bytes]), {
    fault: { kind: "link", seq: 2 },
  });
});

test("bytes that are no record are not taken for one", (t) => {
  for (const text of ["", "null", "[]", "1", "{}", '{"v":2}', '{"v":1,"chain":"c","seq":1.5}']) {
    t.is(parseRecord(Buffer.from(text)), undefined);
  }
  const proper = link(genesis, chain, { at: "x", kind: "agent", body: { a: 1 } });
  const written = proper.bytes.toString();
  t.deepEqual(parseRecord(proper.bytes)?.body, { a: 1 });
  for (const [from, to] of [
    ['{"v":1', '{ "v":1'],
    ['"seq":1', '"seq":01'],
    ['"seq":1', '"seq":1.0'],
    ['"seq":1', '"seq":9999999999999999'],
    ['"at":"x"', '"at":"\\u0078"'],
    ['"at":"x"', '"at":"x","at":"x"'],
    ['"body":{"a":1}', '"body":{"a":1},"kind":"agent"'],
    ['"body":{"a":1}', '"body":{"a":1'],
    [chain, `${chain}"`],
  ] as const) {
    t.true(written.includes(from));
    t.is(parseRecord(Buffer.from(written.replace(from, to))), undefined, to);
  }
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      t.notThrows(() => parseRecord(Buffer.from(bytes)));
    }),
  );
});
