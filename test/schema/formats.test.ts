import { Buffer } from "node:buffer";
import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  sign,
  verify,
} from "node:crypto";
import { readFileSync } from "node:fs";
import test from "ava";
import { verifyEvidence } from "../../src/collector/evidence/verify.ts";
import { sealBatch } from "../../src/core/record/batch.ts";
import { batchType, follow, genesisHead } from "../../src/core/record/chain.ts";
import type { Batch } from "../../src/core/record/chain.ts";
import { keyIdOf, rawPublicKey } from "../../src/core/record/dsse.ts";
import { parseRow, rowOf } from "../../src/core/change/observation.ts";
import { decodePath, encodePath } from "../../src/core/path.ts";
import {
  digestRows,
  payloadHash,
  sealStatement,
  statementType,
} from "../../src/core/record/statement.ts";
import { signCheckpoint } from "../../src/core/tlog/checkpoint.ts";
import type { Statement } from "../../src/core/record/statement.ts";
import { parseKeys, signatureHeader, verifyWebhook } from "../../src/core/record/webhook.ts";

// The worked example is taken from the page itself. Each part is checked twice: by this file's own words
// for what the page says, with node:crypto alone, and against what the program makes of the same input.

const page = readFileSync(new URL("../../docs/formats.md", import.meta.url), "utf8");
const blocks = new Map(
  [...page.matchAll(/^```text (\S+)\n([^]*?)\n```$/gm)].map(([, name = "", text = ""]) => [
    name,
    text,
  ]),
);

function block(name: string): string {
  const text = blocks.get(name);
  if (text === undefined) throw new Error(`docs/formats.md has no example ${name}`);
  return text;
}

function fact(name: string): string {
  const found = block("key")
    .split("\n")
    .find((line) => line.startsWith(name));
  return found?.slice(name.length).trim() ?? "";
}

const sha256 = (...parts: Buffer[]): string =>
  createHash("sha256").update(Buffer.concat(parts)).digest("hex");

function prefixed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function leaf(bytes: Buffer): string {
  return sha256(Buffer.of(0), bytes);
}

const seed = Buffer.from(fact("seed"), "hex");
const raw = Buffer.from(fact("public"), "hex");
const privateKey = createPrivateKey({
  format: "der",
  type: "pkcs8",
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]),
});
const publicKey = createPublicKey(privateKey);

interface PlainEnvelope {
  readonly payloadType: string;
  readonly payload: string;
  readonly signatures: readonly [{ readonly keyid: string; readonly sig: string }];
}

/** The page's section "Envelope", by hand. */
function openByHand(text: string, type: string): Buffer | undefined {
  const envelope = JSON.parse(text) as PlainEnvelope;
  const payload = Buffer.from(envelope.payload, "base64");
  const head = `DSSEv1 ${type.length} ${type} ${payload.length} `;
  const [{ keyid, sig }] = envelope.signatures;
  const good =
    envelope.payloadType === type &&
    keyid === fact("key id") &&
    verify(
      null,
      Buffer.concat([Buffer.from(head), payload]),
      publicKey,
      Buffer.from(sig, "base64"),
    );
  return good ? payload : undefined;
}

const rows = block("rows")
  .split("\n")
  .map((line) => line.split(/ (.*)/, 2) as [string, string])
  .map(([path, row]) => [Buffer.from(path, "hex"), Buffer.from(row)] as const);

test("the example's key is test 1 of RFC 8032 and has the id that the page says", (t) => {
  t.deepEqual(rawPublicKey(publicKey), raw);
  t.is(fact("key id"), `ed25519:${sha256(raw).slice(0, 16)}`);
  t.is(keyIdOf(publicKey), fact("key id"));
});

test("the example's rows are as the program writes them, in order, with paths that keep their bytes", (t) => {
  t.true(rows.length > 1);
  for (const [path, row] of rows) {
    t.is(rowOf(parseRow(row.toString())), row.toString());
    t.deepEqual(encodePath(decodePath(path)), path);
  }
  t.deepEqual(
    rows.toSorted(([a], [b]) => Buffer.compare(a, b)),
    rows,
  );
  t.true(rows.some(([path]) => path.includes(0xff)));
});

test("the rows digest of the page is that of the example", (t) => {
  t.is(sha256(...rows.flat().map(prefixed)), block("rows-digest"));
  t.deepEqual(digestRows(rows), { rows: rows.length, digest: block("rows-digest") });
});

test("the baseline statement of the page verifies and is what the program signs", (t) => {
  const text = block("statement-payload");
  t.is(openByHand(block("statement"), statementType)?.toString(), text);
  t.is(block("statement-hash"), sha256(Buffer.from(text)));
  const { v: _, key: __, ...statement } = JSON.parse(text) as Statement;
  t.like(statement, { digest: block("rows-digest"), rows: rows.length, counter: 1 });
  const sealed = sealStatement(statement, privateKey);
  t.is(JSON.stringify(sealed), block("statement"));
  t.is(payloadHash(sealed), block("statement-hash"));
});

test("the export of the page verifies, line by line", (t) => {
  const [head = "", envelope = "", ...records] = block("export").split("\n");
  const { format, chain, publicKey: base64 } = JSON.parse(head) as Record<string, string>;
  t.is(format, "fim-agent/export/1");
  t.is(base64, raw.toString("base64"));
  const payload = openByHand(envelope, batchType)?.toString();
  t.is(payload, block("batch-payload"));
  const batch = JSON.parse(payload ?? "") as Batch;
  t.like(batch, { chain, first: 1, last: records.length, key: fact("key id") });

  const hashes = block("record-hashes")
    .split("\n")
    .map((line) => line.split(" ")[0]);
  t.deepEqual([raw, ...records.map((text) => Buffer.from(text))].map(leaf), hashes);
  t.is(batch.prev, leaf(raw));
  t.is(batch.head, hashes.at(-1) ?? "");
  for (const [index, text] of records.entries()) {
    t.like(JSON.parse(text) as object, { v: 1, chain, seq: index + 1, prev: hashes[index] });
  }
});

test("the export of the page is what the program follows and signs", (t) => {
  const [, envelope = "", ...records] = block("export").split("\n");
  const batch = JSON.parse(block("batch-payload")) as Batch;
  const followed = follow(
    genesisHead(raw),
    batch.chain,
    records.map((text) => Buffer.from(text)),
  );
  t.like(followed, { head: { seq: batch.last, hash: batch.head } });
  t.is(JSON.stringify(sealBatch(batch, privateKey)), envelope);
});

test("the webhook of the page is signed as it says, and as the program signs", (t) => {
  const [head = "", body = ""] = block("webhook").split("\n\n");
  const headers = Object.fromEntries(head.split("\n").map((line) => line.split(": ")));
  const { "webhook-id": id = "", "webhook-timestamp": timestamp = "" } = headers;
  const [hmacKey = ""] = block("webhook-keys").split("\n");
  const bytes = Buffer.from(`${id}.${timestamp}.${body}`);
  const secret = Buffer.from(hmacKey.replace("whsec_", ""), "base64");
  const v1 = createHmac("sha256", secret).update(bytes).digest("base64");
  t.is(
    headers["webhook-signature"],
    `v1,${v1} v1a,${sign(null, bytes, privateKey).toString("base64")}`,
  );

  const keys = parseKeys(block("webhook-keys"));
  const message = { id, timestamp: Number(timestamp), body: Buffer.from(body) };
  t.is(signatureHeader(message, keys), headers["webhook-signature"]);
  const clock = { now: Number(timestamp) + 300, tolerance: 300 };
  t.true(verifyWebhook({ headers, body: message.body }, keys, clock));
});

test("the checkpoint of the page is a signed note over the tree that the evidence gives", (t) => {
  const note = `${block("checkpoint")}\n`;
  const [text = "", line = ""] = note.split("\n\n");
  const [, encoded = ""] = /^\u2014 fim-collector\/soc (\S+)$/m.exec(line) ?? [];
  const signed = Buffer.from(encoded, "base64");
  t.true(verify(null, Buffer.from(`${text}\n`), publicKey, signed.subarray(4)));
  const id = sha256(Buffer.from("fim-collector/soc\n"), Buffer.of(1), raw).slice(0, 8);
  t.is(signed.subarray(0, 4).toString("hex"), id);
  t.is(
    block("checkpoint-key"),
    `fim-collector/soc+${id}+${Buffer.concat([Buffer.of(1), raw]).toString("base64")}`,
  );
  const [, size, root] = text.split("\n");
  t.is(size, "3");
  const hash = (left: string, right: string): string =>
    sha256(Buffer.of(1), Buffer.from(left, "hex"), Buffer.from(right, "hex"));
  const [, , , , , one = "", two = ""] = block("evidence").split("\n");
  const [a, b] = [one, two].map((record) => leaf(Buffer.from(record)));
  const withheld = leaf(Buffer.alloc(0));
  t.is(Buffer.from(root ?? "", "base64").toString("hex"), hash(hash(withheld, a ?? ""), b ?? ""));
  t.is(
    signCheckpoint(
      { origin: "fim-collector/soc", size: 3, root: hash(hash(withheld, a ?? ""), b ?? "") },
      privateKey,
    ),
    note,
  );
});

test("the evidence file of the page verifies, line by line", async (t) => {
  const bytes = Buffer.from(`${block("evidence")}\n`);
  const lines = block("evidence").split("\n");
  const end = openByHand(lines.at(-1) ?? "", "application/vnd.fim-collector.export.v1+json");
  const before = Buffer.from(`${lines.slice(0, -1).join("\n")}\n`);
  t.is(end?.toString(), JSON.stringify({ lines: 7, digest: sha256(before), key: fact("key id") }));
  t.like(JSON.parse(lines[0] ?? ""), {
    key: block("checkpoint-key"),
    checkpoint: `${block("checkpoint")}\n`,
  });
  t.deepEqual(lines.slice(4, 7), block("export").split("\n").slice(1));
  t.like(await verifyEvidence([bytes], publicKey), {
    ok: true,
    node: "prod/cp-1",
    chains: 1,
    records: 2,
    withheld: 1,
    formerKeys: 0,
  });
});
