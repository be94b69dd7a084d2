import { Buffer } from "node:buffer";

/** Bytes of one line. A record has at most 1 MiB. */
const mostBytes = 4 * 1024 * 1024;

/** A line without its line feed. */
export interface Line {
  readonly bytes: Buffer;
  /** Absent only at the end of the file, where a line feed should be. */
  readonly isEnded: boolean;
  readonly isTooLong: boolean;
}

/** Splits at line feeds and at nothing else, so that every byte of the file is in a line. Reads on after a line that is too long only to end. */
export async function* splitLines(
  chunks: AsyncIterable<Buffer> | Iterable<Buffer>,
): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end));
      yield { bytes: Buffer.concat(parts), isEnded: true, isTooLong: false };
      parts = [];
      length = 0;
      from = end + 1;
    }
    if (from < chunk.length) parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > mostBytes) {
      yield { bytes: Buffer.alloc(0), isEnded: false, isTooLong: true };
      return;
    }
  }
  if (length > 0) yield { bytes: Buffer.concat(parts), isEnded: false, isTooLong: false };
}
