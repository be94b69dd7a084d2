import { Buffer } from "node:buffer";
import { createHash, createPublicKey, sign, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { isBase64, publicKeyOf, rawPublicKey } from "../record/dsse.ts";

/** A key that signs notes, as c2sp.org/signed-note@v1.0.0 has it: known by its name and its id. */
export interface NoteKey {
  readonly name: string;
  /** Eight hex digits. */
  readonly id: string;
  readonly publicKey: KeyObject;
}

export interface OpenedNote {
  /** Ends in a line feed, as signed. */
  readonly text: string;
  /** Names of the known keys that signed. At least one. */
  readonly signers: readonly string[];
}

/** Bytes of the type of an Ed25519 signature. */
const ed25519 = Buffer.of(1);
/** A verifier must accept 16. */
const mostSignatures = 16;
const mostCharacters = 64 * 1024;

export function noteKey(name: string, publicKey: KeyObject): NoteKey {
  const raw = rawPublicKey(publicKey);
  const id = createHash("sha256").update(`${name}\n`).update(ed25519).update(raw).digest("hex");
  return { name, id: id.slice(0, 8), publicKey };
}

/** "<name>+<id>+<base64 of type and public key>", which people hand on. */
export function printVkey({ name, id, publicKey }: NoteKey): string {
  return `${name}+${id}+${Buffer.concat([ed25519, rawPublicKey(publicKey)]).toString("base64")}`;
}

/** Undefined: not a verifier key, or of another kind than Ed25519. */
export function parseVkey(text: string): NoteKey | undefined {
  const [, name = "", id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text) ?? [];
  if (!isKeyName(name) || !isBase64(encoded)) return undefined;
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.length !== 33 || !bytes.subarray(0, 1).equals(ed25519)) return undefined;
  const key = noteKey(name, publicKeyOf(bytes.subarray(1)));
  return key.id === id ? key : undefined;
}

/** Not empty, and without white space or "+". */
export function isKeyName(name: string): boolean {
  return /^[^\s\p{White_Space}\p{Cc}+]+$/u.test(name) && name.isWellFormed();
}

/** The text, which ends in a line feed, and one signature. */
export function signNote(text: string, name: string, privateKey: KeyObject): string {
  const { id } = noteKey(name, createPublicKey(privateKey));
  const signature = sign(null, Buffer.from(text), privateKey);
  const encoded = Buffer.concat([Buffer.from(id, "hex"), signature]).toString("base64");
  return `${text}\n\u2014 ${name} ${encoded}\n`;
}

/**
 * The text of a note that a known key signed. Undefined: it is no note, no known key signed it, or the signature of a
 * known key does not hold. Signatures of unknown keys are passed over.
 */
export function openNote(note: string, keys: readonly NoteKey[]): OpenedNote | undefined {
  const parts = parseNote(note);
  if (!parts) return undefined;
  const { text, signatures } = parts;
  const bytes = Buffer.from(text);
  const signers: string[] = [];
  for (const { name, id, signature } of signatures) {
    const key = keys.find((one) => one.name === name && one.id === id);
    if (!key) continue;
    if (!verify(null, bytes, key.publicKey, signature)) return undefined;
    signers.push(name);
  }
  return signers.length > 0 ? { text, signers } : undefined;
}

interface Signature {
  readonly name: string;
  readonly id: string;
  readonly signature: Buffer;
}

/** Text and signatures, not verified. Undefined: it is no note, or it has too many signatures. */
function parseNote(
  note: string,
): { readonly text: string; readonly signatures: readonly Signature[] } | undefined {
  // What is not well-formed has the same UTF-8 bytes as another text.
  if (note.length > mostCharacters || !note.isWellFormed()) return undefined;
  if (/[\u0000-\u0009\u000b-\u001f]/.test(note) || !note.endsWith("\n")) return undefined;
  const end = note.lastIndexOf("\n\n");
  if (end < 0) return undefined;
  const lines = note.slice(end + 2, -1).split("\n");
  if (lines.length > mostSignatures) return undefined;
  const signatures = lines.map(parseSignature);
  if (!signatures.every((one) => one !== undefined)) return undefined;
  return { text: note.slice(0, end + 1), signatures };
}

function parseSignature(line: string): Signature | undefined {
  const [, name = "", encoded] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? [];
  if (!isKeyName(name) || !isBase64(encoded)) return undefined;
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.length < 5) return undefined;
  return { name, id: bytes.subarray(0, 4).toString("hex"), signature: bytes.subarray(4) };
}
