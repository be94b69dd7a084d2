import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** Records of one pack: reading one of them costs no more than unpacking these. */
const recordsOfPack = 32;
/** Bytes of one pack: no record is longer than 1 MiB. */
const mostBytes = 32 * 2 ** 20;
/** Bytes that are uncompressed at once: the records of a usual pack. */
const chunkSize = 64 * 2 ** 10;

const lineFeed = Buffer.from("\n");

/** Neighbouring records of a batch as the stores keep them. */
export interface Pack {
  readonly count: number;
  readonly bytes: Buffer;
}

/**
 * The records of a batch, in order. Each pack holds some of them, joined by line feeds and compressed (zstd, RFC 8878):
 * records of one batch are alike, so this takes a tenth of their bytes. Throws if one holds a line feed.
 */
export function pack(records: readonly Buffer[]): readonly Pack[] {
  if (records.some((one) => one.includes(lineFeed))) throw new Error("a record holds a line feed");
  const packs: Pack[] = [];
  for (let from = 0; from < records.length; from += recordsOfPack) {
    const some = records.slice(from, from + recordsOfPack);
    packs.push({ count: some.length, bytes: compress(some) });
  }
  return packs;
}

function compress(records: readonly Buffer[]): Buffer {
  const lines = records.flatMap((one, at) => (at === 0 ? [one] : [lineFeed, one]));
  const level = { [constants.ZSTD_c_compressionLevel]: 1 };
  return zstdCompressSync(Buffer.concat(lines), { params: level });
}

/** The records of a pack, in order. None if these bytes are not a pack's: who reads them sees that they are altered. */
export function unpack(packed: Buffer): readonly Buffer[] {
  const joined = isPlain(packed) ? packed : uncompress(packed);
  if (!joined) return [];
  const records: Buffer[] = [];
  for (let from = 0; from <= joined.length;) {
    const end = joined.indexOf(lineFeed, from);
    const to = end < 0 ? joined.length : end;
    records.push(joined.subarray(from, to));
    from = to + 1;
  }
  return records;
}

/** A record that was stored before there were packs. */
function isPlain(packed: Buffer): boolean {
  return packed[0] === "{".charCodeAt(0);
}

function uncompress(packed: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(packed, { chunkSize, maxOutputLength: mostBytes });
  } catch {
    return undefined;
  }
}
