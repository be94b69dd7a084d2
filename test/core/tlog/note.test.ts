import { Buffer } from "node:buffer";
import { createPrivateKey, generateKeyPairSync } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import {
  isKeyName,
  noteKey,
  openNote,
  parseVkey,
  printVkey,
  signNote,
} from "../../../src/core/tlog/note.ts";

// The key and the note of the documentation of golang.org/x/mod/sumdb/note.
const vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const skey = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const text =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const line =
  "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const note = `${text}\n${line}`;
// The note of c2sp.org/signed-note@v1.0.0, which comes without its key.
const poem =
  "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n";
const poemLine =
  "— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

const known = parseVkey(vkey) ?? noteKey("none", generateKeyPairSync("ed25519").publicKey);
const privateKey = createPrivateKey({
  format: "der",
  type: "pkcs8",
  key: Buffer.concat([
    Buffer.from("302e020100300506032b657004220420", "hex"),
    Buffer.from(skey, "base64").subarray(1),
  ]),
});
const mine = generateKeyPairSync("ed25519");
const myKey = noteKey("fim-collector/soc", mine.publicKey);
const signed = (body: string): string => signNote(body, "fim-collector/soc", mine.privateKey);

test("the known key is read and printed, and signs the known note byte for byte", (t) => {
  t.like(known, { name: "PeterNeumann", id: "c74f20a3" });
  t.is(printVkey(known), vkey);
  t.is(signNote(text, "PeterNeumann", privateKey), note);
  t.deepEqual(openNote(note, [known]), { text, signers: ["PeterNeumann"] });
});

test("an empty line in the text is not taken for its end", (t) => {
  t.is(openNote(`${poem}\n${poemLine}`, [known]), undefined);
  const body = `${poem}\n${poemLine}`;
  t.deepEqual(openNote(signed(poem), [myKey]), { text: poem, signers: [myKey.name] });
  t.deepEqual(openNote(signed(body), [myKey]), { text: body, signers: [myKey.name] });
});

test("signatures of unknown keys are passed over, also of the same name", (t) => {
  const stranger = generateKeyPairSync("ed25519");
  const other = signNote(text, "PeterNeumann", stranger.privateKey).slice(text.length + 1);
  t.truthy(openNote(`${text}\n${other}${poemLine}${line}`, [known]));
  t.is(openNote(`${text}\n${other}${poemLine}`, [known]), undefined);
  t.is(openNote(note, []), undefined);
});

test("of two known keys both signatures must hold", (t) => {
  const mineToo = signed(text).slice(text.length + 1);
  const both = `${text}\n${line}${mineToo}`;
  t.deepEqual(openNote(both, [known, myKey])?.signers, ["PeterNeumann", myKey.name]);
  const broken = signed("another\n").slice("another\n".length + 1);
  t.truthy(openNote(`${text}\n${line}${broken}`, [known]));
  t.is(openNote(`${text}\n${line}${broken}`, [known, myKey]), undefined);
});

test("sixteen signatures are accepted and no more", (t) => {
  t.truthy(openNote(`${text}\n${poemLine.repeat(15)}${line}`, [known]));
  t.is(openNote(`${text}\n${poemLine.repeat(16)}${line}`, [known]), undefined);
});

test("any change of a character of the note is found", (t) => {
  const place = fc.nat({ max: note.length - 1 });
  const property = fc.property(place, fc.string({ minLength: 1, maxLength: 1 }), (at, one) => {
    const edited = note.slice(0, at) + one + note.slice(at + 1);
    t.is(openNote(edited, [known]) === undefined, edited !== note);
  });
  fc.assert(property, { numRuns: 1000 });
});

test("what has the same bytes in UTF-8 without being the same text is no note", (t) => {
  t.truthy(openNote(signed("\ufffd\n"), [myKey]));
  t.is(openNote(signed("\ufffd\n").replace("\ufffd", "\ud800"), [myKey]), undefined);
});

test("text that is no note is not taken for one", (t) => {
  const odd = [
    "",
    "\n",
    "\n\n",
    text,
    `${text}\n`,
    `${text}${line}`,
    note.slice(0, -1),
    `${note}\n`,
    `${note}x\n`,
    `${text}\n- ${line.slice(2)}`,
    signed("a\u0000b\n"),
    signed("a\rb\n"),
    signed("a\n".repeat(40_000)),
  ];
  for (const one of odd) t.is(openNote(one, [known, myKey]), undefined, one.slice(0, 80));
  fc.assert(fc.property(fc.string(), (one) => openNote(one, [known]) === undefined));
});

test("every part and every change of a verifier key is refused", (t) => {
  const parts = fc.tuple(fc.nat({ max: vkey.length }), fc.nat({ max: vkey.length }));
  fc.assert(
    fc.property(parts, fc.string({ minLength: 1, maxLength: 1 }), ([a, b], one) => {
      const part = vkey.slice(Math.min(a, b), Math.max(a, b));
      if (part !== vkey) t.is(parseVkey(part), undefined);
      const edited = vkey.slice(0, a) + one + vkey.slice(a + 1);
      if (edited !== vkey) t.is(parseVkey(edited), undefined);
    }),
    { numRuns: 1000 },
  );
  const [, id, key = ""] = /\+(.{8})\+(.*)/.exec(vkey) ?? [];
  const wrongType = Buffer.concat([Buffer.of(2), Buffer.from(key, "base64").subarray(1)]);
  t.is(parseVkey(`PeterNeumann+${id}+${wrongType.toString("base64")}`), undefined);
});

test("the name of a key holds neither white space nor plus", (t) => {
  for (const name of ["a", "fim-collector/soc", "é", "example.com/log42"]) t.true(isKeyName(name));
  for (const name of ["", "a b", "a+b", "a\u00a0b", "a\u0085b", "a\nb", "a\u2003b", "\ud800"])
    t.false(isKeyName(name), JSON.stringify(name));
});
