import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

/** Bytes of one batch's records: more than a request may hold. */
const mostBytes = 64 * 2 ** 20;
/** Bytes that are uncompressed at once: the records of a usual batch. */
const chunkSize = 64 * 2 ** 10;

const lineFeed = Buffer.from("\n");

/**
 * The records of a batch as the stores keep them: joined by line feeds, compressed (zstd, RFC 8878). Records of one batch
 * are alike, so this takes a tenth of their bytes, on the disk and while they are stored. Throws if one holds a line feed.
 */
export function pack(records: readonly Buffer[]): Buffer {
  const lines = records.flatMap((one, at) => (at === 0 ? [one] : [lineFeed, one]));
  if (records.some((one) => one.includes(lineFeed))) throw new Error("a record holds a line feed");
  const level = { [constants.ZSTD_c_compressionLevel]: 1 };
  return zstdCompressSync(Buffer.concat(lines), { params: level });
}

/** The records, in order. None if these bytes are not what `pack` made: who reads them sees that they are altered. */
export function unpack(packed: Buffer): readonly Buffer[] {
  const joined = isPlain(packed) ? packed : inflate(packed);
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

/** The migration joins the records that were stored one by one, and cannot compress them. */
function isPlain(packed: Buffer): boolean {
  return packed[0] === "{".charCodeAt(0);
}

function inflate(packed: Buffer): Buffer | undefined {
  try {
    return zstdDecompressSync(packed, { chunkSize, maxOutputLength: mostBytes });
  } catch {
    return undefined;
  }
}
