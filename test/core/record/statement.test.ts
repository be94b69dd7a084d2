import test from "ava";
import fc from "fast-check";
import { createHash, generateKeyPairSync } from "node:crypto";
import { parseEnvelope } from "../../../src/core/record/dsse.ts";
import {
  digestRows,
  openStatement,
  payloadHash,
  sealAnchor,
  sealStatement,
  sha256,
} from "../../../src/core/record/statement.ts";
import type { Statement } from "../../../src/core/record/statement.ts";
import { judge } from "../../../src/core/record/trust.ts";
import type { Evidence } from "../../../src/core/record/trust.ts";

const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const someRows = fc.array(fc.tuple(bytes(40), bytes(90_000)), { maxLength: 8, size: "max" });
const { publicKey, privateKey } = generateKeyPairSync("ed25519");
const other = generateKeyPairSync("ed25519");

const policy = "[]";
const rows = { rows: 2, digest: "ab".repeat(32) };
const said: Omit<Statement, "v" | "key"> = {
  node: "cp-1",
  cluster: "prod",
  counter: 7,
  ...rows,
  policy: { name: "kubeadm", digest: sha256(policy) },
  at: "2026-11-23T12:00:00.000Z",
  reason: "upgrade",
};
const signed = sealStatement(said, privateKey);
const stored = { counter: 7, envelope: JSON.stringify(signed), policy };

function anchorOf(counter: number, statement = payloadHash(signed), key = privateKey): string {
  return JSON.stringify(sealAnchor({ counter, digest: rows.digest, statement, at: said.at }, key));
}

const sound: Evidence = {
  stored,
  anchor: anchorOf(7),
  recorded: { counter: 7, digest: rows.digest },
  rows,
};

function raw(base64: string): string {
  return Buffer.from(base64, "base64").toString("hex");
}

function partOf(evidence: Evidence, keys = [publicKey]): string {
  const judgement = judge(evidence, keys);
  return judgement.kind === "untrusted" ? judgement.part : judgement.kind;
}

test("the digest of rows is SHA-256 over each length and its bytes", (t) => {
  fc.assert(
    fc.property(someRows, (all) => {
      const hash = createHash("sha256");
      for (const part of all.flat()) {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(part.length);
        hash.update(length).update(part);
      }
      return digestRows(all).digest === hash.digest("hex");
    }),
    { numRuns: 60 },
  );
  t.is(digestRows([]).digest, sha256(""));
});

test("moving a byte from a path to its row changes the digest", (t) => {
  const one = digestRows([[Buffer.from("/ab"), Buffer.from("c")]]);
  const two = digestRows([[Buffer.from("/a"), Buffer.from("bc")]]);
  t.not(one.digest, two.digest);
});

test("a statement comes back as it was signed, its keys in the order of the format", (t) => {
  const opened = openStatement(signed, [publicKey]);
  t.is(opened.kind, "good");
  const payload = Buffer.from(signed.payload, "base64").toString();
  const keys = "v node cluster counter rows digest policy at reason key".split(" ");
  t.deepEqual(Object.keys(JSON.parse(payload) as object), keys);
  const next = sealStatement({ ...said, previous: payloadHash(signed) }, privateKey);
  const parsed = JSON.parse(Buffer.from(next.payload, "base64").toString()) as object;
  t.deepEqual(Object.keys(parsed), [...keys, "previous"]);
});

test("sound evidence is trusted, and what was never made is missing", (t) => {
  t.is(partOf(sound), "trusted");
  t.is(partOf({ rows: { rows: 0, digest: "" } }), "missing");
  t.is(partOf({ anchor: anchorOf(0), rows }), "missing");
});

test("a former key is trusted when it is named", (t) => {
  t.is(partOf(sound, [other.publicKey]), "key");
  t.is(partOf(sound, [other.publicKey, publicKey]), "trusted");
});

test("each altered part is named", (t) => {
  const forged = { ...signed, payload: Buffer.from('{"v":1}').toString("base64") };
  const foreign = JSON.stringify(sealStatement(said, other.privateKey));
  const cases: [string, Evidence][] = [
    ["signature", { ...sound, stored: { ...stored, envelope: "{}" } }],
    ["signature", { ...sound, stored: { ...stored, envelope: JSON.stringify(forged) } }],
    ["key", { ...sound, stored: { ...stored, envelope: foreign } }],
    ["counter", { ...sound, stored: { ...stored, counter: 8 } }],
    ["counter", { ...sound, anchor: anchorOf(8) }],
    ["counter", { ...sound, recorded: { counter: 8, digest: rows.digest } }],
    ["counter", { ...sound, recorded: { counter: 7, digest: "00" } }],
    ["counter", { ...sound, recorded: { counter: 6, digest: rows.digest } }],
    ["counter", { stored, anchor: anchorOf(7), isChainWhole: true, rows }],
    ["policy", { ...sound, stored: { ...stored, policy: "[ ]" } }],
    ["anchor", { stored, rows }],
    ["anchor", { ...sound, anchor: "{}" }],
    ["anchor", { ...sound, anchor: anchorOf(7, "00") }],
    ["anchor", { ...sound, anchor: anchorOf(7, payloadHash(signed), other.privateKey) }],
    ["rows", { ...sound, rows: { ...rows, rows: 3 } }],
    ["rows", { ...sound, rows: { ...rows, digest: "00" } }],
    ["gone", { anchor: anchorOf(7), rows }],
    ["gone", { recorded: { counter: 7, digest: "" }, rows }],
    ["anchor", { anchor: "{}", rows }],
  ];
  for (const [part, evidence] of cases) t.is(partOf(evidence), part);
});

test("an anchor that a crash left behind is no finding", (t) => {
  const judgement = judge({ ...sound, anchor: anchorOf(6, "00") }, [publicKey]);
  t.like(judgement, { kind: "trusted", anchorIsBehind: true });
});

test("any edit of a signed statement's text is refused", (t) => {
  fc.assert(
    fc.property(
      fc.nat({ max: stored.envelope.length - 1 }),
      fc.integer({ min: 0x20, max: 0x7e }),
      (index, code) => {
        const text = stored.envelope;
        const edited = text.slice(0, index) + String.fromCharCode(code) + text.slice(index + 1);
        const same = JSON.stringify(parseEnvelope(edited)) === text;
        // Base64 has spare bits at its end: other letters, the same bytes.
        const { payload = "", signatures = [] } = parseEnvelope(edited) ?? {};
        const alike =
          raw(payload) === raw(signed.payload) &&
          raw(signatures[0]?.sig ?? "") === raw(signed.signatures[0]?.sig ?? "");
        const verdict = partOf({ ...sound, stored: { ...stored, envelope: edited } });
        return same || alike || verdict !== "trusted";
      },
    ),
    { numRuns: 2000 },
  );
  t.pass();
});
