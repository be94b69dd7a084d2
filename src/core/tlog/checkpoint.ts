import { Buffer } from "node:buffer";
import type { KeyObject } from "node:crypto";
import { isBase64 } from "../record/dsse.ts";
import { openNote, signNote } from "./note.ts";
import type { NoteKey } from "./note.ts";
import { isConsistent } from "./proof.ts";
import type { Proof, TreeHead } from "./proof.ts";

/** The head of a log at one size, as c2sp.org/tlog-checkpoint@v1.0.0 has it. */
export interface Checkpoint extends TreeHead {
  /** Identity of the log, and name of its key. */
  readonly origin: string;
}

/** The text of the note: origin, size and root, each on a line. */
export function printCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${Buffer.from(root, "hex").toString("base64")}\n`;
}

/** Lines that follow the root are passed over: they are not part of the tree. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const lines = text.split("\n");
  const [origin = "", digits = "", encoded] = lines;
  const size = /^(?:0|[1-9]\d{0,15})$/.test(digits) ? Number(digits) : Number.NaN;
  if (lines.pop() !== "" || lines.includes("") || !Number.isSafeInteger(size)) return undefined;
  const root = isBase64(encoded) ? Buffer.from(encoded, "base64") : Buffer.alloc(0);
  return root.length === 32 ? { origin, size, root: root.toString("hex") } : undefined;
}

export function signCheckpoint(checkpoint: Checkpoint, privateKey: KeyObject): string {
  return signNote(printCheckpoint(checkpoint), checkpoint.origin, privateKey);
}

/** The checkpoint of a note that the log itself signed with a known key. */
export function openCheckpoint(note: string, keys: readonly NoteKey[]): Checkpoint | undefined {
  const opened = openNote(note, keys);
  const checkpoint = opened && parseCheckpoint(opened.text);
  return checkpoint && opened.signers.includes(checkpoint.origin) ? checkpoint : undefined;
}

interface Advance {
  readonly keys: readonly NoteKey[];
  /** That the next tree begins with the previous one. Without it only size and equal trees are compared. */
  readonly proof?: Proof;
}

/**
 * Whether a log may show this note after the previous checkpoint: the checkpoint, or a sentence about why the log
 * must have been rewritten.
 */
export function advance(
  previous: Checkpoint | undefined,
  note: string,
  { keys, proof }: Advance,
): { readonly checkpoint: Checkpoint } | { readonly fault: string } {
  const checkpoint = openCheckpoint(note, keys);
  if (!checkpoint) return { fault: "the checkpoint is not signed by the collector's key" };
  if (!previous) return { checkpoint };
  const { origin, size, root } = previous;
  if (checkpoint.origin !== origin)
    return { fault: `the checkpoint is of ${checkpoint.origin}, expected ${origin}` };
  if (checkpoint.size < size)
    return { fault: `the log shrank from ${size} records to ${checkpoint.size}` };
  if (checkpoint.size === size && checkpoint.root !== root)
    return { fault: `the log has another root at ${size} records` };
  if (proof && !isConsistent(previous, checkpoint, proof))
    return { fault: `the log does not go on from its first ${size} records` };
  return { checkpoint };
}
