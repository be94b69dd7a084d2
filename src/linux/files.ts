import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { constants as os } from "node:os";
import { decodePath, encodePath, isUtf8Path } from "../core/path.ts";
import { checked, declare, errno } from "./libc.ts";
import type { Call } from "./libc.ts";

/*
 * Descriptors. A function that returns a number returns the kernel's result, or minus errno.
 */

const syscallOpenat2 = 437; // every architecture (asm-generic/unistd.h)
const syscallCachestat = 451;
const syscallGetdents64 = process.arch === "arm64" ? 61 : 217;

const resolveInRoot = 0x10; // RESOLVE_IN_ROOT, linux/openat2.h
const fadviseDontNeed = 4; // POSIX_FADV_DONTNEED, linux/fadvise.h
const pathMax = 4096; // PATH_MAX with its NUL, linux/limits.h
/** Retries after EAGAIN from openat2, when a rename elsewhere raced with a ".." of the path (openat2(2)). */
const maxRaces = 64;

const pathFlag = 0x200000; // O_PATH, asm-generic/fcntl.h; the same on x64 and arm64
const closeOnExec = 0x80000; // O_CLOEXEC
const { O_DIRECTORY, O_NOATIME, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** For looking at a path itself, without following a symbolic link and without opening it. */
export const lookFlags = pathFlag | O_NOFOLLOW | closeOnExec;
/** For the directory at which the node's root is seen. */
export const rootFlags = pathFlag | O_DIRECTORY | closeOnExec;
/** For listing a directory. */
export const listFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | closeOnExec;

const openat2 = declare<
  Call<[number: number, dir: number, path: Buffer, how: Buffer, size: number]>
>("long syscall(long number, int dir, const void *path, const void *how, size_t size)");
const openat = declare<Call<[dir: number, path: Buffer, flags: number, mode: number]>>(
  "int openat(int dir, const void *path, int flags, int mode)",
);
const closeFd = declare<Call<[fd: number]>>("int close(int fd)");
const pread = declare<Call<[fd: number, into: Buffer, size: number, offset: number]>>(
  "long pread(int fd, void *into, size_t size, int64_t offset)",
);
const readlinkat = declare<Call<[dir: number, path: Buffer, into: Buffer, size: number]>>(
  "long readlinkat(int dir, const void *path, void *into, size_t size)",
);
const getdents64 = declare<Call<[number: number, fd: number, into: Buffer, size: number]>>(
  "long syscall(long number, int fd, void *into, size_t size)",
);
const cachestat = declare<
  Call<[number: number, fd: number, range: Buffer, into: Buffer, flags: number]>
>("long syscall(long number, int fd, const void *range, void *into, uint32_t flags)");
const posixFadvise = declare<Call<[fd: number, offset: number, length: number, advice: number]>>(
  "int posix_fadvise(int fd, int64_t offset, int64_t length, int advice)",
);

// A path string has at most one UTF-16 unit a byte, and a unit takes at most three bytes.
const pathBytes = Buffer.allocUnsafeSlow(3 * pathMax + 1);
const emptyPath = Buffer.alloc(1);
const how = Buffer.alloc(24); // struct open_how: u64 flags, mode, resolve
how.writeUInt32LE(resolveInRoot, 16);

/** Reading leaves no access time. Permitted to the owner and with CAP_FOWNER, else EPERM. */
export const noAtimeFlag = O_NOATIME;

/** The starting directory for `openInRoot`. Throws: without it nothing is visible. */
export function openRoot(root: string): number {
  const fd = openPlain(-1, root, rootFlags);
  return fd >= 0 ? fd : checked(-1, "open", root);
}

/** Opens an absolute path as if `rootFd` were "/": neither ".." nor a symbolic link leads out. Linux 5.6. */
export function openInRoot(rootFd: number, path: string, flags: number): number {
  const bytes = pathFor(path);
  if (typeof bytes === "number") return bytes;
  how.writeUInt32LE(flags, 0);
  for (let race = 0; ; race += 1) {
    const fd = openat2(syscallOpenat2, rootFd, bytes, how, how.length);
    if (fd >= 0) return fd;
    const number = errno();
    const again = number === os.errno.EINTR || (number === os.errno.EAGAIN && race < maxRaces);
    if (!again) return -number;
  }
}

/** Opens a path as this process sees it. */
export function openPlain(dirFd: number, path: string, flags: number): number {
  const bytes = pathFor(path);
  if (typeof bytes === "number") return bytes;
  for (;;) {
    const fd = openat(dirFd, bytes, flags, 0);
    if (fd >= 0) return fd;
    const number = errno();
    if (number !== os.errno.EINTR) return -number;
  }
}

/** Opens the object of an O_PATH descriptor for reading, through the directory /proc/self/fd. */
export function reopen(procFd: number, fd: number): number {
  const flags = O_RDONLY | O_NONBLOCK | closeOnExec;
  const opened = openPlain(procFd, String(fd), flags | noAtimeFlag);
  return opened === -os.errno.EPERM ? openPlain(procFd, String(fd), flags) : opened;
}

export function close(fd: number): void {
  closeFd(fd);
}

/** Fills the buffer from its start with one read of the file at this offset. */
export function readAt(fd: number, offset: number, into: Buffer): number {
  for (;;) {
    const size = pread(fd, into, into.length, offset);
    if (size >= 0) return size;
    const number = errno();
    if (number !== os.errno.EINTR) return -number;
  }
}

const linkBytes = Buffer.allocUnsafeSlow(pathMax);

/** The target of a symbolic link opened with O_PATH | O_NOFOLLOW, or minus errno. */
export function readLink(fd: number): string | number {
  const size = readlinkat(fd, emptyPath, linkBytes, linkBytes.length);
  return size < 0 ? -errno() : decodePath(linkBytes.subarray(0, size));
}

const pageSize = 4096;
const cacheRange = Buffer.alloc(16); // struct cachestat_range: u64 off, len; zero is the whole file
const cacheStat = Buffer.alloc(40); // struct cachestat: u64 nr_cache, …

/** Bytes of the file that the page cache holds; undefined before Linux 6.5. Counted in pages of 4 KiB. */
export function cachedBytes(fd: number): number | undefined {
  if (cachestat(syscallCachestat, fd, cacheRange, cacheStat, 0) !== 0) return undefined;
  return Number(cacheStat.readBigUInt64LE(0)) * pageSize;
}

/** Drops a file from the page cache. Advice only. */
export function dropCache(fd: number): void {
  posixFadvise(fd, 0, 0, fadviseDontNeed);
}

/** A name in a directory. "unknown": the filesystem gives no type in a listing. */
export interface Entry {
  readonly name: string;
  readonly kind: "directory" | "other" | "unknown";
}

const typeUnknown = 0; // DT_UNKNOWN, dirent.h
const typeDirectory = 4; // DT_DIR
// struct linux_dirent64: u64 ino, s64 off, u16 reclen, u8 type, name
const direntLength = 16;
const direntType = 18;
const direntName = 19;
const direntBytes = Buffer.allocUnsafeSlow(32 * 1024);

/**
 * The names in a directory opened for listing, without "." and "..", or minus errno. Each once, although the kernel
 * may list a name twice that moved meanwhile (readdir(3p)).
 */
export function readDirectory(fd: number): Entry[] | number {
  const entries = new Map<string, Entry>();
  for (;;) {
    const size = getdents64(syscallGetdents64, fd, direntBytes, direntBytes.length);
    if (size < 0) return -errno();
    if (size === 0) return [...entries.values()];
    for (let at = 0; at < size; at += direntBytes.readUInt16LE(at + direntLength)) {
      const from = at + direntName;
      const name = decodePath(direntBytes.subarray(from, direntBytes.indexOf(0, from)));
      const type = direntBytes[at + direntType];
      if (name !== "." && name !== "..") entries.set(name, { name, kind: kindOf(type) });
    }
  }
}

function kindOf(type: number | undefined): Entry["kind"] {
  if (type === typeDirectory) return "directory";
  return type === typeUnknown ? "unknown" : "other";
}

/** The path's bytes with a NUL in a buffer that the next call overwrites, or minus errno. */
function pathFor(path: string): Buffer | number {
  if (path.length >= pathMax) return -os.errno.ENAMETOOLONG;
  if (path.includes("\0")) return -os.errno.ENOENT; // No name holds a NUL.
  const length = isUtf8Path(path) ? pathBytes.write(path) : encodePath(path).copy(pathBytes);
  pathBytes[length] = 0;
  return pathBytes;
}

/** Where the file behind a descriptor lies now (proc_pid_fd(5)). Undefined: it has no name any more. */
export function pathOfDescriptor(fd: number): string | undefined {
  const link = openPlain(-1, `/proc/self/fd/${fd}`, lookFlags);
  if (link < 0) return undefined;
  try {
    const target = readLink(link);
    return typeof target === "string" && !target.endsWith(" (deleted)") ? target : undefined;
  } finally {
    close(link);
  }
}
