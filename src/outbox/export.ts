import type { Database } from "better-sqlite3";
import type { KeyObject } from "node:crypto";
import type { BatchFault } from "../core/record/batch.ts";
import { keyIdOf, parseEnvelope, publicKeyOf, rawPublicKey } from "../core/record/dsse.ts";
import { nextSeq, readChain, readLine } from "../core/record/reader.ts";
import type { ChainReader } from "../core/record/reader.ts";
import { IntegrityError } from "../core/error.ts";
import { inSnapshot, readMeta } from "../sqlite/open.ts";
import type { ChainReport } from "./verify.ts";

const format = "fim-agent/export/1";

interface ExportOptions {
  /** One of them signed the first batch. */
  readonly keys: readonly KeyObject[];
  readonly write: (line: string) => void;
  /** Begin with the first batch that was signed at or after this time, milliseconds since 1970. */
  readonly since?: number;
}

/**
 * Writes the retained chain as NDJSON (docs/formats.md): a head line, then each batch's envelope and its records. The
 * head line names the key that signed the first batch.
 */
export function exportChain(db: Database, { keys, write, since = 0 }: ExportOptions): void {
  const batches = db.prepare<[], { first: number; last: number; envelope: string }>(
    "SELECT first, last, envelope FROM batch ORDER BY last",
  );
  const records = db
    .prepare<[number, number], Buffer>(
      "SELECT bytes FROM record WHERE seq BETWEEN ? AND ? ORDER BY seq",
    )
    .pluck();
  inSnapshot(db, () => {
    let begun = false;
    for (const { first, last, envelope } of batches.iterate()) {
      if (!begun && signedAt(envelope) < since) continue;
      if (!begun) write(headLine(readMeta(db, "chain") ?? "", signerOf(envelope, keys)));
      begun = true;
      write(`${envelope}\n`);
      for (const bytes of records.all(first, last)) write(`${bytes.toString("utf8")}\n`);
    }
  });
}

/**
 * Verifies an exported chain, line by line, from the file alone. Without trusted keys it shows that the file is whole
 * and has one signer, which the report names; not that this signer is the agent.
 */
export async function verifyExport(
  lines: AsyncIterable<string> | Iterable<string>,
  trusted?: readonly KeyObject[],
): Promise<ChainReport & { readonly signer?: string }> {
  let reading: Reading | undefined;
  for await (const line of lines) {
    if (line === "") continue;
    const step: Reading | BatchFault = reading ? goOn(reading, line) : begin(line);
    if ("fault" in step) return { ok: false, ...step };
    reading = step;
  }
  return reading ? finish(reading, trusted) : { ok: false, seq: 1, fault: "the file is empty" };
}

/** NaN: not an envelope of ours; it is exported, and its verification fails. */
function signedAt(envelope: string): number {
  const payload = parseEnvelope(envelope)?.payload ?? "";
  try {
    const { at } = JSON.parse(Buffer.from(payload, "base64").toString("utf8")) as { at?: string };
    return Date.parse(at ?? "");
  } catch {
    return Number.NaN;
  }
}

interface Reading {
  readonly signer: string;
  readonly chain: ChainReader;
}

function begin(line: string): Reading | BatchFault {
  const head = parseHead(line);
  if (!head) return { seq: 1, fault: `the first line is not a head of format ${format}` };
  const key = publicKeyOf(Buffer.from(head.publicKey, "base64"));
  return { signer: keyIdOf(key), chain: readChain(head.chain, [key]) };
}

function goOn({ signer, chain }: Reading, line: string): Reading | BatchFault {
  const read = readLine(chain, Buffer.from(line));
  return "fault" in read ? read : { signer, chain: read };
}

function finish(
  { signer, chain: read }: Reading,
  trusted: readonly KeyObject[] | undefined,
): ChainReport & { signer?: string } {
  const { chain, walk, first, signers, open } = read;
  if (open)
    return { ok: false, seq: nextSeq(read), fault: "the file ends in the middle of a batch" };
  if (!walk.at || first === undefined)
    return { ok: false, seq: 1, fault: "the file holds no batch" };
  // A batch by a trusted key vouches for all before it by their hashes, and for all after it by its rekey records.
  if (trusted && !trusted.some((one) => signers.has(keyIdOf(one))))
    return {
      ok: false,
      seq: first,
      fault: `the file is signed by ${signer}, which is not trusted`,
    };
  const { head } = walk.at;
  return { ok: true, chain, records: head.seq - first + 1, first, last: head.seq, head, signer };
}

function headLine(chain: string, key: KeyObject): string {
  return `${JSON.stringify({ format, chain, publicKey: rawPublicKey(key).toString("base64") })}\n`;
}

function parseHead(
  line: string,
): { readonly chain: string; readonly publicKey: string } | undefined {
  try {
    const value = JSON.parse(line) as { format?: unknown; chain?: unknown; publicKey?: unknown };
    const { chain, publicKey } = value;
    const good =
      value.format === format && typeof chain === "string" && typeof publicKey === "string";
    return good && Buffer.from(publicKey, "base64").length === 32
      ? { chain, publicKey }
      : undefined;
  } catch {
    return undefined;
  }
}

function signerOf(envelope: string, keys: readonly KeyObject[]): KeyObject {
  const keyid = parseEnvelope(envelope)?.signatures[0]?.keyid;
  const key = keys.find((one) => keyIdOf(one) === keyid);
  if (key) return key;
  throw new IntegrityError(
    "CHAIN_BROKEN",
    `chain: signed by ${keyid}, which is not this agent's key`,
    {
      hint: "see what was altered: fim-agent verify",
    },
  );
}
