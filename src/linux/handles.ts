import { Buffer } from "node:buffer";
import { constants as os } from "node:os";
import { decodePath, encodePath, isUtf8Path } from "../core/path.ts";
import { close, listFlags, lookFlags, openPlain, pathOfDescriptor } from "./files.ts";
import { declare, errno } from "./libc.ts";

/*
 * File handles: the identity of an inode in fanotify's events. A key is the filesystem's id and the handle, as a
 * latin1 string of the bytes of an event's record: id (8), u32 size, s32 type, handle.
 */

const AT_EMPTY_PATH = 0x1000;
/** Linux 6.5: a handle for identification only, which need not be openable (overlayfs). */
const AT_HANDLE_FID = 0x200;
const MAX_HANDLE_SZ = 128;
/** struct statfs on 64-bit Linux: seven longs, then f_fsid. */
const statfsSize = 120;
const fsidAt = 56;
const fsidSize = 8;
const handleHeader = 8;

type ToHandle = (
  ...args: [dir: number, name: Buffer, handle: Buffer, mountId: Buffer, flags: number]
) => number;

let toHandle: ToHandle | undefined;
let fstatfs: ((fd: number, into: Buffer) => number) | undefined;
let openByHandle: ((mountFd: number, handle: Buffer, flags: number) => number) | undefined;

/** Bytes 0 to 7: the filesystem's id. The handle follows directly. */
const keyBytes = Buffer.alloc(fsidSize + handleHeader + MAX_HANDLE_SZ);
const handleBytes = keyBytes.subarray(fsidSize);
const mountIdBytes = Buffer.alloc(8);
const statfsBytes = Buffer.alloc(statfsSize + 64);
const empty = Buffer.alloc(1);

/** Types of handles that begin with the inode's number (include/linux/exportfs.h, fs/xfs/xfs_export.h). */
const FILEID_INO32_GEN = 1;
const FILEID_INO64_GEN = 0x81;
const typeAt = fsidSize + 4;
const inodeAt = fsidSize + handleHeader;

/** The number of the inode with this key. Undefined: a filesystem whose handles do not begin with it. */
export function inodeOfKey(key: string): string | undefined {
  const bytes = Buffer.from(key.slice(0, inodeAt + 8), "latin1");
  if (bytes.length < inodeAt + 8) return undefined;
  const type = bytes.readInt32LE(typeAt);
  // tmpfs uses the same type for a longer handle that begins with the generation.
  if (type === FILEID_INO32_GEN && bytes.readUInt32LE(fsidSize) === 8)
    return String(bytes.readUInt32LE(inodeAt));
  return type === FILEID_INO64_GEN ? String(bytes.readBigUInt64LE(inodeAt)) : undefined;
}

/** A directory, for the handles of its entries. */
export interface HandleDirectory {
  readonly fd: number;
  readonly key: string;
  readonly mountId: number;
}

/** The directory behind a descriptor (O_PATH is enough), or minus errno. */
export function directoryHandle(fd: number): HandleDirectory | number {
  const failed = readFilesystemId(fd);
  if (failed !== 0) return failed;
  const result = readHandle(fd, empty, AT_EMPTY_PATH);
  if (result !== 0) return result;
  return { fd, key: currentKey(), mountId: mountIdBytes.readInt32LE(0) };
}

/** The key of a name (NUL at its end) in a directory, without following it, or minus errno. */
export function entryKey(dir: HandleDirectory, name: Buffer): string | number {
  const result = readHandle(dir.fd, name, 0);
  if (result !== 0) return result;
  if (mountIdBytes.readInt32LE(0) === dir.mountId) {
    keyBytes.write(dir.key.slice(0, fsidSize), 0, "latin1");
    return currentKey();
  }
  return mountedKey(dir, name);
}

/** A name is at most 255 bytes (NAME_MAX), and a UTF-16 unit at most three. */
const nameBuffer = Buffer.alloc(1024);

/** The name with a NUL, in a buffer that the next call overwrites. */
export function nameBytes(name: string): Buffer {
  const short = name.slice(0, 256);
  const length = isUtf8Path(short) ? nameBuffer.write(short) : encodePath(short).copy(nameBuffer);
  nameBuffer[length] = 0;
  return nameBuffer;
}

/**
 * The path of a directory known only by its handle, seen from the mount of `mountFd`. Undefined: gone, or without
 * CAP_DAC_READ_SEARCH.
 */
export function directoryOf(key: string, mountFd: number): string | undefined {
  const fd = openHandle(Buffer.from(key.slice(fsidSize), "latin1"), mountFd, listFlags);
  if (fd < 0) return undefined;
  try {
    return pathOfDescriptor(fd);
  } finally {
    close(fd);
  }
}

/** FILEID_KERNFS: the handle of a cgroup directory is its id (include/linux/exportfs.h). */
const FILEID_KERNFS = 0xfe;

/** The path of the cgroup with this id, seen from a descriptor in the cgroup v2 filesystem. */
export function cgroupPathOf(id: bigint, mountFd: number): string | undefined {
  const handle = Buffer.alloc(handleHeader + 8);
  handle.writeUInt32LE(8, 0);
  handle.writeInt32LE(FILEID_KERNFS, 4);
  handle.writeBigUInt64LE(id, handleHeader);
  const fd = openHandle(handle, mountFd, listFlags);
  if (fd < 0) return undefined;
  try {
    return pathOfDescriptor(fd);
  } finally {
    close(fd);
  }
}

/** Returns a descriptor, or minus errno. */
function openHandle(handle: Buffer, mountFd: number, flags: number): number {
  openByHandle ??= declare("int open_by_handle_at(int mount, const void *handle, int flags)");
  const fd = openByHandle(mountFd, handle, flags);
  return fd >= 0 ? fd : -errno();
}

function currentKey(): string {
  return keyBytes.toString("latin1", 0, fsidSize + handleHeader + handleBytes.readUInt32LE(0));
}

function readFilesystemId(fd: number): number {
  fstatfs ??= declare("int fstatfs(int fd, void *into)");
  if (fstatfs(fd, statfsBytes) !== 0) return -errno();
  statfsBytes.copy(keyBytes, 0, fsidAt, fsidAt + fsidSize);
  return 0;
}

/** 0, or minus errno. The handle is then in `keyBytes`. */
function readHandle(dirFd: number, name: Buffer, flags: number): number {
  toHandle ??= declare<ToHandle>(
    "int name_to_handle_at(int dir, const void *name, void *handle, void *mount, int flags)",
  );
  handleBytes.writeUInt32LE(MAX_HANDLE_SZ, 0);
  if (toHandle(dirFd, name, handleBytes, mountIdBytes, flags) === 0) return 0;
  const number = errno();
  if (number !== os.errno.EOPNOTSUPP || (flags & AT_HANDLE_FID) !== 0) return -number;
  return readHandle(dirFd, name, flags | AT_HANDLE_FID);
}

/** Another filesystem is mounted on the name: its id differs. */
function mountedKey(dir: HandleDirectory, name: Buffer): string | number {
  const fd = openPlain(dir.fd, decodePath(name.subarray(0, name.indexOf(0))), lookFlags);
  if (fd < 0) return fd;
  try {
    const found = directoryHandle(fd);
    return typeof found === "number" ? found : found.key;
  } finally {
    close(fd);
  }
}
