import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { hashRecord } from "../../../src/core/record/chain.ts";
import {
  advance,
  openCheckpoint,
  parseCheckpoint,
  printCheckpoint,
  signCheckpoint,
} from "../../../src/core/tlog/checkpoint.ts";
import { noteKey, signNote } from "../../../src/core/tlog/note.ts";
import { proveConsistency } from "../../../src/core/tlog/proof.ts";
import { append, emptyTree, rootOf } from "../../../src/core/tlog/tree.ts";

// The example of c2sp.org/tlog-checkpoint@v1.0.0.
const example =
  "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
const origin = "fim-collector/soc";
const pair = generateKeyPairSync("ed25519");
const keys = [noteKey(origin, pair.publicKey)];

/** The checkpoint at each size of a log of records with these names, and what was stored of it. */
function logOf(names: readonly string[]) {
  const stored = new Map<string, string>();
  const checkpoints = [{ origin, size: 0, root: rootOf(emptyTree) }];
  let edge = emptyTree;
  for (const name of names) {
    const next = append(edge, hashRecord(Buffer.from(name)));
    for (const { level, index, hash } of next.completed) stored.set(`${level}/${index}`, hash);
    edge = next.edge;
    checkpoints.push({ origin, size: edge.size, root: rootOf(edge) });
  }
  const at = (size: number) => checkpoints[size] ?? { origin, size, root: "" };
  const proof = (older: number, size: number) =>
    proveConsistency(
      older,
      size,
      async ({ level, index }) => stored.get(`${level}/${index}`) ?? "",
    );
  return { at, proof, note: (size: number) => signCheckpoint(at(size), pair.privateKey) };
}

test("the example of the specification is read and printed", (t) => {
  const root = Buffer.from("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", "base64");
  const checkpoint = parseCheckpoint(example);
  t.deepEqual(checkpoint, {
    origin: "example.com/behind-the-sofa",
    size: 20_852_163,
    root: root.toString("hex"),
  });
  t.is(checkpoint && printCheckpoint(checkpoint), example);
});

test("what is printed is read again, whatever the size and root", (t) => {
  const root = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const property = fc.property(root, fc.maxSafeNat(), (bytes, size) => {
    const checkpoint = { origin, size, root: Buffer.from(bytes).toString("hex") };
    t.deepEqual(parseCheckpoint(printCheckpoint(checkpoint)), checkpoint);
  });
  fc.assert(property);
});

test("extension lines are passed over; anything else is no checkpoint", (t) => {
  const { root } = parseCheckpoint(example) ?? { root: "" };
  t.is(parseCheckpoint(`${example}extension\n`)?.root, root);
  const odd = [
    "",
    example.slice(0, -1),
    `${example}\n`,
    `${example}a\n\nb\n`,
    example.replace("example.com/behind-the-sofa", ""),
    example.replace("20852163", "020852163"),
    example.replace("20852163", "-1"),
    example.replace("20852163", "1e3"),
    example.replace("20852163", "9007199254740993"),
    example.replace("20852163", ""),
    example.replace("I=", "J="),
    example.replace("CsUY", ""),
  ];
  for (const text of odd) t.is(parseCheckpoint(text), undefined, text);
});

test("a checkpoint counts only when the log of its origin signed it", (t) => {
  const { at, note } = logOf(["a", "b"]);
  t.deepEqual(openCheckpoint(note(2), keys), at(2));
  const witness = noteKey("witness.example", pair.publicKey);
  const other = signNote(printCheckpoint(at(2)), witness.name, pair.privateKey);
  t.is(openCheckpoint(other, [...keys, witness]), undefined);
  t.is(openCheckpoint(signNote("hello\n", origin, pair.privateKey), keys), undefined);
});

test("a log that grows, or stays, may be shown", async (t) => {
  const { at, note, proof } = logOf(["a", "b", "c", "d", "e"]);
  t.deepEqual(advance(undefined, note(3), { keys }), { checkpoint: at(3) });
  t.deepEqual(advance(at(3), note(3), { keys }), { checkpoint: at(3) });
  t.deepEqual(advance(at(0), note(1), { keys, proof: [] }), { checkpoint: at(1) });
  t.deepEqual(advance(at(3), note(5), { keys, proof: await proof(3, 5) }), { checkpoint: at(5) });
  t.deepEqual(advance(at(3), note(5), { keys }), { checkpoint: at(5) });
});

test("a log that shrank or was rewritten is refused, with the reason", async (t) => {
  const before = logOf(["a", "b", "c"]);
  const after = logOf(["a", "x", "c", "d", "e"]);
  const why = (note: string, size: number, proof?: readonly string[]): string | undefined => {
    const judged = advance(before.at(size), note, { keys, ...(proof && { proof }) });
    return "fault" in judged ? judged.fault : undefined;
  };
  t.is(why(before.note(2), 3), "the log shrank from 3 records to 2");
  t.is(why(after.note(3), 3), "the log has another root at 3 records");
  const proof = await after.proof(3, 5);
  t.is(why(after.note(5), 3, proof), "the log does not go on from its first 3 records");
  t.is(why(after.note(5), 3, []), "the log does not go on from its first 3 records");
});

test("a checkpoint of another key or another log is refused", (t) => {
  const { at, note } = logOf(["a"]);
  const stranger = generateKeyPairSync("ed25519");
  t.deepEqual(advance(at(0), signCheckpoint(at(1), stranger.privateKey), { keys }), {
    fault: "the checkpoint is not signed by the collector's key",
  });
  const elsewhere = { ...at(1), origin: "fim-collector/other" };
  const both = [...keys, noteKey(elsewhere.origin, stranger.publicKey)];
  t.deepEqual(advance(at(0), signCheckpoint(elsewhere, stranger.privateKey), { keys: both }), {
    fault: "the checkpoint is of fim-collector/other, expected fim-collector/soc",
  });
  t.deepEqual(advance(at(0), note(1).replace("1", "2"), { keys }), {
    fault: "the checkpoint is not signed by the collector's key",
  });
});
