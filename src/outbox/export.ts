import type { Database } from "better-sqlite3";
import type { KeyObject } from "node:crypto";
import { followBatch, openBatch } from "../core/record/batch.ts";
import type { BatchFault, Walk } from "../core/record/batch.ts";
import { keyIdOf, parseEnvelope, publicKeyOf, rawPublicKey } from "../core/record/dsse.ts";
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
  let reader: Reader | undefined;
  for await (const line of lines) {
    if (line === "") continue;
    const step: Reader | BatchFault = reader ? readLine(reader, line) : begin(line);
    if ("fault" in step) return { ok: false, ...step };
    reader = step;
  }
  return reader ? finish(reader, trusted) : { ok: false, seq: 1, fault: "the file is empty" };
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

interface Reader {
  readonly signer: string;
  /** Key ids that signed a batch, which the hash chain and the rekey records join. */
  readonly signers: ReadonlySet<string>;
  readonly chain: string;
  readonly walk: Walk;
  readonly first?: number;
  /** A batch whose records are not complete yet. */
  readonly open?: { readonly batch: Parameters<typeof followBatch>[1]; readonly records: Buffer[] };
}

function begin(line: string): Reader | BatchFault {
  const head = parseHead(line);
  if (!head) return { seq: 1, fault: `the first line is not a head of format ${format}` };
  const key = publicKeyOf(Buffer.from(head.publicKey, "base64"));
  return { signer: keyIdOf(key), signers: new Set(), chain: head.chain, walk: { keys: [key] } };
}

function readLine(reader: Reader, line: string): Reader | BatchFault {
  const { open } = reader;
  if (!open) return readEnvelope(reader, line);
  open.records.push(Buffer.from(line));
  if (open.records.length <= open.batch.last - open.batch.first) return reader;
  const walk = followBatch(reader.walk, open.batch, open.records);
  if ("fault" in walk) return walk;
  const { signer, signers, chain, first = open.batch.first } = reader;
  return { signer, signers, chain, walk, first };
}

function readEnvelope(reader: Reader, line: string): Reader | BatchFault {
  const seq = (reader.walk.at?.head.seq ?? 0) + 1;
  const envelope = parseEnvelope(line);
  if (!envelope) return { seq, fault: "expected a batch's envelope" };
  const opened = openBatch(reader.walk, envelope);
  if ("fault" in opened) return opened;
  const { batch } = opened;
  if (batch.chain !== reader.chain)
    return { seq, fault: `expected chain ${reader.chain}, found ${batch.chain}` };
  const signers = new Set([...reader.signers, batch.key]);
  return { ...reader, signers, open: { batch, records: [] } };
}

function finish(
  { open, walk, first, signer, signers, chain }: Reader,
  trusted: readonly KeyObject[] | undefined,
): ChainReport & { signer?: string } {
  if (open)
    return {
      ok: false,
      seq: open.batch.first + open.records.length,
      fault: "the file ends in the middle of a batch",
    };
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
