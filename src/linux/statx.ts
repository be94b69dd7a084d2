import { Buffer } from "node:buffer";
import type { FileType } from "../core/change/observation.ts";
import { declare, errno } from "./libc.ts";
import type { Call } from "./libc.ts";

const syscallStatx = process.arch === "arm64" ? 291 : 332; // musl has had the function only since 1.2.5
const atEmptyPath = 0x1000; // AT_EMPTY_PATH, linux/fcntl.h
const basicStats = 0x7ff; // STATX_BASIC_STATS, linux/stat.h
const birthTime = 0x800; // STATX_BTIME

// struct statx, linux/stat.h
const offset = {
  mask: 0,
  attributes: 8,
  nlink: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  ino: 32,
  size: 40,
  btime: 80,
  ctime: 96,
  mtime: 112,
  rdevMajor: 128,
  rdevMinor: 132,
  devMajor: 136,
  devMinor: 140,
} as const;
const nanoseconds = 8; // in struct statx_timestamp: s64 seconds, u32 nanoseconds

const typeMask = 0o170000; // S_IFMT
const types = new Map<number, FileType>([
  [0o010000, "fifo"],
  [0o020000, "char"],
  [0o040000, "directory"],
  [0o060000, "block"],
  [0o100000, "file"],
  [0o120000, "symlink"],
  [0o140000, "socket"],
]);

/** In the order of their names. */
const attributeFlags = [
  ["append", 0x20], // STATX_ATTR_APPEND
  ["immutable", 0x10], // STATX_ATTR_IMMUTABLE
  ["verity", 0x100000], // STATX_ATTR_VERITY
] as const;
const anyFlag = attributeFlags.reduce((all, [, bit]) => all | bit, 0);

const call = declare<
  Call<[number: number, fd: number, path: Buffer, flags: number, mask: number, into: Buffer]>
>("long syscall(long number, int fd, const void *path, int flags, uint32_t mask, void *into)");
const emptyPath = Buffer.alloc(1);

/** Seconds since 1970, and nanoseconds. */
export interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** The result of statx(2) for a descriptor, decoded on demand. Made once, filled often. */
export class Stat {
  readonly #bytes = Buffer.alloc(256);

  /** Zero, or minus errno. */
  fill(fd: number): number {
    const mask = basicStats | birthTime;
    return call(syscallStatx, fd, emptyPath, atEmptyPath, mask, this.#bytes) === 0 ? 0 : -errno();
  }

  get type(): FileType {
    return types.get(this.#bytes.readUInt16LE(offset.mode) & typeMask) ?? "file";
  }

  /** The twelve permission bits. */
  get mode(): number {
    return this.#bytes.readUInt16LE(offset.mode) & 0o7777;
  }

  get uid(): number {
    return this.#bytes.readUInt32LE(offset.uid);
  }

  get gid(): number {
    return this.#bytes.readUInt32LE(offset.gid);
  }

  get nlink(): number {
    return this.#bytes.readUInt32LE(offset.nlink);
  }

  get size(): number {
    return (
      this.#bytes.readUInt32LE(offset.size + 4) * 0x1_0000_0000 +
      this.#bytes.readUInt32LE(offset.size)
    );
  }

  /** Decimal. */
  get ino(): string {
    const high = this.#bytes.readUInt32LE(offset.ino + 4);
    return high < 0x20_0000
      ? String(high * 0x1_0000_0000 + this.#bytes.readUInt32LE(offset.ino))
      : String(this.#bytes.readBigUInt64LE(offset.ino));
  }

  /** "major:minor" */
  get dev(): string {
    return `${this.#bytes.readUInt32LE(offset.devMajor)}:${this.#bytes.readUInt32LE(offset.devMinor)}`;
  }

  /** "major:minor" of what a device file stands for. */
  get rdev(): string {
    return `${this.#bytes.readUInt32LE(offset.rdevMajor)}:${this.#bytes.readUInt32LE(offset.rdevMinor)}`;
  }

  get mtime(): Time {
    return this.#time(offset.mtime);
  }

  get ctime(): Time {
    return this.#time(offset.ctime);
  }

  /** Undefined where the filesystem has none. */
  get btime(): Time | undefined {
    const isKnown = (this.#bytes.readUInt32LE(offset.mask) & birthTime) !== 0;
    return isKnown ? this.#time(offset.btime) : undefined;
  }

  /** "append", "immutable", "verity", those that are set, in that order; undefined when none is. */
  get flags(): readonly string[] | undefined {
    const attributes = this.#bytes.readUInt32LE(offset.attributes);
    if ((attributes & anyFlag) === 0) return undefined;
    return attributeFlags.filter(([, bit]) => (attributes & bit) !== 0).map(([name]) => name);
  }

  /** False when the file was written, or its inode changed, between the two. */
  isUnchanged(later: Stat): boolean {
    for (const at of [offset.ino, offset.size, offset.ctime, offset.mtime])
      if (!this.#isSame(later, at)) return false;
    return this.#isSame(later, offset.ctime + 8) && this.#isSame(later, offset.mtime + 8);
  }

  /** Eight bytes. The ones after the nanoseconds are zero. */
  #isSame(other: Stat, at: number): boolean {
    return (
      this.#bytes.readUInt32LE(at) === other.#bytes.readUInt32LE(at) &&
      this.#bytes.readUInt32LE(at + 4) === other.#bytes.readUInt32LE(at + 4)
    );
  }

  #time(at: number): Time {
    const high = this.#bytes.readInt32LE(at + 4) * 0x1_0000_0000;
    return {
      seconds: high + this.#bytes.readUInt32LE(at),
      nanoseconds: this.#bytes.readUInt32LE(at + nanoseconds),
    };
  }
}
