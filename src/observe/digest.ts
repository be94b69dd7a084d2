import { Buffer } from "node:buffer";
import { createHash, hash } from "node:crypto";
import { cachedBytes, dropCache, readAt } from "../linux/files.ts";
import { Stat } from "../linux/statx.ts";

/** Larger pieces are slower: they leave the processor's cache between the read and the hash. */
const pieceBytes = 64 * 1024;
/** Drops a larger file from the page cache, which etcd needs more. */
const keepCacheBytes = 8 * 1024 * 1024;
/** Files of /proc and /sys report a wrong size: read them up to here. */
const maxUnknownBytes = 1024 * 1024;
/** After this many bytes, checks that the file still has a name: otherwise its content no longer matters. */
const linkCheckBytes = 16 * 1024 * 1024;

/** How much of an open file to read: all of the given size, its first bytes, or both. */
interface Extent {
  readonly size: number;
  readonly hash: boolean;
  readonly prefix?: number;
  /** Reads no larger file: it may have grown since its size was read. */
  readonly maxBytes?: number;
}

export interface Digest {
  readonly sha256?: string;
  readonly prefix?: { readonly size: number; readonly sha256: string };
}

/** Called after each piece; may wait, or throw to end the reading. */
export type Throttle = (bytes: number) => void;

/** Reads files into one buffer that it keeps. */
export class Digester {
  readonly #piece = Buffer.allocUnsafeSlow(pieceBytes);
  readonly #throttle: Throttle | undefined;
  readonly #stat = new Stat();

  constructor(throttle?: Throttle) {
    this.#throttle = throttle;
  }

  /** The digests of a file's content, or minus errno. None for a large file that lost its last name. */
  digest(fd: number, extent: Extent): Digest | number {
    if (extent.hash && extent.size > (extent.maxBytes ?? Infinity)) return {};
    const wasCached = extent.size <= keepCacheBytes || isCached(fd, extent.size);
    try {
      return this.#read(fd, extent);
    } finally {
      if (!wasCached) dropCache(fd);
    }
  }

  #read(fd: number, extent: Extent): Digest | number {
    const first = readAt(fd, 0, this.#piece);
    if (first < 0) return first;
    this.#throttle?.(first);
    const isWhole = first === extent.size && first <= pieceBytes;
    if (isWhole && extent.hash && extent.prefix === undefined)
      return { sha256: hash("sha256", this.#piece.subarray(0, first), "hex") };
    return this.#stream(fd, extent, first);
  }

  /** Continues after the first piece, which is in the buffer. */
  #stream(fd: number, extent: Extent, first: number): Digest | number {
    const { prefix } = extent;
    const size = extent.size === 0 ? maxUnknownBytes : extent.size;
    const end = extent.hash ? size : Math.min(prefix ?? 0, size);
    const all = createHash("sha256");
    let head: Digest["prefix"];
    let done = 0;
    let askAt = linkCheckBytes;
    for (let got = first; got > 0 && done < end;) {
      const piece = this.#piece.subarray(0, Math.min(got, end - done));
      if (prefix !== undefined && done <= prefix && prefix < done + piece.length) {
        all.update(piece.subarray(0, prefix - done));
        head = { size: prefix, sha256: all.copy().digest("hex") };
        all.update(piece.subarray(prefix - done));
      } else all.update(piece);
      done += piece.length;
      if (done >= end) break;
      if (done >= askAt) {
        if (this.#isUnlinked(fd)) return {};
        askAt += linkCheckBytes;
      }
      got = readAt(fd, done, this.#piece);
      if (got < 0) return got;
      this.#throttle?.(got);
    }
    const sha256 = all.digest("hex");
    if (prefix !== undefined) head ??= { size: done, sha256 };
    return { ...(extent.hash && { sha256 }), ...(head && { prefix: head }) };
  }

  #isUnlinked(fd: number): boolean {
    return this.#stat.fill(fd) === 0 && this.#stat.nlink === 0;
  }
}

/** Whether the page cache held it before. False where the kernel cannot say. */
function isCached(fd: number, size: number): boolean {
  const cached = cachedBytes(fd);
  return cached !== undefined && cached * 2 >= size;
}
