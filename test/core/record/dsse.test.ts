import { Buffer } from "node:buffer";
import { generateKeyPairSync, verify } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import {
  keyIdOf,
  open,
  parseEnvelope,
  preAuthEncoding,
  publicKeyOf,
  rawPublicKey,
  seal,
} from "../../../src/core/record/dsse.ts";
import type { Envelope } from "../../../src/core/record/dsse.ts";

const mine = generateKeyPairSync("ed25519");
const other = generateKeyPairSync("ed25519");
const type = "application/vnd.example+json";
const payload = fc.uint8Array().map((bytes) => Buffer.from(bytes));

test("the pre-authentication encoding of the DSSE specification's example is reproduced", (t) => {
  const encoded = preAuthEncoding("http://example.com/HelloWorld", Buffer.from("hello world"));
  t.is(encoded.toString(), "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
});

test("lengths are counted in bytes, not in characters", (t) => {
  t.is(preAuthEncoding("é", Buffer.from("日")).toString(), "DSSEv1 2 é 3 日");
});

test("no two pairs of type and payload have the same encoding", (t) => {
  const unit = fc.constantFrom(" ", "1", "2", "a");
  const pair = fc.tuple(fc.string({ unit, maxLength: 6 }), fc.string({ unit, maxLength: 6 }));
  fc.assert(
    fc.property(pair, pair, (a, b) => {
      const same = a[0] === b[0] && a[1] === b[1];
      const [one, two] = [a, b].map(([kind, text]) => preAuthEncoding(kind, Buffer.from(text)));
      t.is(one?.equals(two ?? Buffer.alloc(0)), same);
    }),
  );
});

test("what was sealed is opened with the same key and type, byte for byte", (t) => {
  fc.assert(
    fc.property(payload, (bytes) => {
      const envelope = parseEnvelope(JSON.stringify(seal(type, bytes, mine.privateKey)));
      t.deepEqual(envelope && open(type, envelope, mine.publicKey), bytes);
    }),
  );
});

test("the signature is plain Ed25519 over the encoding, as any other verifier would check it", (t) => {
  const bytes = Buffer.from("hello world");
  const { signatures } = seal(type, bytes, mine.privateKey);
  const signature = Buffer.from(signatures[0]?.sig ?? "", "base64");
  t.true(
    verify(
      null,
      Buffer.from(`DSSEv1 ${type.length} ${type} 11 hello world`),
      mine.publicKey,
      signature,
    ),
  );
});

test("another key, even one that takes this key's id, opens nothing", (t) => {
  const envelope = seal(type, Buffer.from("x"), other.privateKey);
  t.is(open(type, envelope, mine.publicKey), undefined);
  const forged: Envelope = {
    ...envelope,
    signatures: envelope.signatures.map(({ sig }) => ({ keyid: keyIdOf(mine.publicKey), sig })),
  };
  t.is(open(type, forged, mine.publicKey), undefined);
});

test("another type opens nothing, whether the envelope or the reader has it", (t) => {
  const envelope = seal(type, Buffer.from("x"), mine.privateKey);
  t.is(open("application/other", envelope, mine.publicKey), undefined);
  t.is(
    open("application/other", { ...envelope, payloadType: "application/other" }, mine.publicKey),
    undefined,
  );
});

test("an envelope whose payload or signature was changed, or that has no signature, opens nothing", (t) => {
  fc.assert(
    fc.property(payload, fc.nat(), fc.integer({ min: 1, max: 255 }), (bytes, where, flip) => {
      const envelope = seal(type, bytes, mine.privateKey);
      const [{ keyid, sig } = t.fail()] = envelope.signatures;
      const broken = Buffer.from(sig, "base64");
      const at = where % broken.length;
      broken[at] = (broken[at] ?? 0) ^ flip;
      const signatures = [{ keyid, sig: broken.toString("base64") }];
      t.is(open(type, { ...envelope, signatures }, mine.publicKey), undefined);
      const longer = Buffer.concat([bytes, Buffer.of(flip)]).toString("base64");
      t.is(open(type, { ...envelope, payload: longer }, mine.publicKey), undefined);
      t.is(open(type, { ...envelope, signatures: [] }, mine.publicKey), undefined);
    }),
    { numRuns: 50 },
  );
});

test("a second signature by an unknown key does no harm", (t) => {
  const bytes = Buffer.from("x");
  const envelope = seal(type, bytes, mine.privateKey);
  const second = seal(type, bytes, other.privateKey);
  const both = { ...envelope, signatures: [...second.signatures, ...envelope.signatures] };
  t.deepEqual(open(type, both, mine.publicKey), bytes);
});

test("a public key is the same after its raw bytes were kept, and so is its id", (t) => {
  const raw = rawPublicKey(mine.publicKey);
  t.is(raw.length, 32);
  t.true(publicKeyOf(raw).equals(mine.publicKey));
  t.regex(keyIdOf(mine.publicKey), /^ed25519:[0-9a-f]{16}$/);
  t.not(keyIdOf(mine.publicKey), keyIdOf(other.publicKey));
});

test("text that is no envelope is not taken for one", (t) => {
  for (const text of ["", "null", "{}", '{"payloadType":"x","payload":"","signatures":[null]}']) {
    t.is(parseEnvelope(text), undefined);
  }
  fc.assert(fc.property(fc.string(), (text) => t.notThrows(() => parseEnvelope(text))));
});

test("base64 with stray characters or trailing bits is no envelope", (t) => {
  const envelope = seal(type, Buffer.from("approved"), mine.privateKey);
  const { payload: approved } = envelope;
  const [one] = envelope.signatures;
  const with64 = (text: string, sig: string): string =>
    JSON.stringify({ ...envelope, payload: text, signatures: [{ ...one, sig }] });
  const sig = one?.sig ?? "";
  t.deepEqual(parseEnvelope(with64(approved, sig)), envelope);
  const bent = sig.replace(/.(?==*$)/, (last) => String.fromCharCode(last.charCodeAt(0) + 1));
  for (const [text, signature] of [
    [`${approved} `, sig],
    [approved, bent],
    [approved, sig.replaceAll("=", "")],
  ] as const)
    t.is(parseEnvelope(with64(text, signature)), undefined);
});

test("an envelope keeps nothing that it is not made of, and has few signatures", (t) => {
  const envelope = seal(type, Buffer.from("x"), mine.privateKey);
  const [one] = envelope.signatures;
  const more = { ...envelope, signatures: [{ ...one, more: {} }], more: [{}, {}] };
  t.deepEqual(parseEnvelope(JSON.stringify(more)), envelope);
  const many = { ...envelope, signatures: Array.from({ length: 17 }, () => one) };
  t.is(parseEnvelope(JSON.stringify(many)), undefined);
});
