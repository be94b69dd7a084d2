import { Buffer } from "node:buffer";
import { constants } from "node:os";
import { decodePath, encodePath } from "../core/path.ts";
import { declare, errno } from "./libc.ts";
import type { Call } from "./libc.ts";

const { ENODATA, ENOTSUP } = constants.errno;

/** Both the list of names and one value are at most 64 KiB: XATTR_LIST_MAX, XATTR_SIZE_MAX, linux/limits.h. */
const maxBytes = 64 * 1024;
const listBytes = Buffer.allocUnsafeSlow(maxBytes);
const valueBytes = Buffer.allocUnsafeSlow(maxBytes);

const flistxattr = declare<Call<[fd: number, into: Buffer, size: number]>>(
  "long flistxattr(int fd, void *into, size_t size)",
);
const listxattr = declare<Call<[path: string, into: Buffer, size: number]>>(
  "long listxattr(const char *path, void *into, size_t size)",
);
const fgetxattr = declare<Call<[fd: number, name: Buffer, into: Buffer, size: number]>>(
  "long fgetxattr(int fd, const void *name, void *into, size_t size)",
);
const getxattr = declare<Call<[path: string, name: Buffer, into: Buffer, size: number]>>(
  "long getxattr(const char *path, const void *name, void *into, size_t size)",
);

/** One extended attribute. */
export interface Xattr {
  readonly name: string;
  readonly value: Buffer;
}

const none: readonly Xattr[] = [];

/**
 * The extended attributes of a descriptor, or minus errno. One opened with O_PATH (isPathOnly), also a symbolic
 * link's, is read through its name in /proc, because the calls for descriptors refuse it (open(2), O_PATH).
 */
export function readXattrs(fd: number, isPathOnly: boolean): readonly Xattr[] | number {
  const path = isPathOnly ? `/proc/self/fd/${fd}` : "";
  const size = isPathOnly
    ? listxattr(path, listBytes, maxBytes)
    : flistxattr(fd, listBytes, maxBytes);
  if (size === 0) return none;
  if (size < 0) {
    const number = errno();
    return number === ENOTSUP ? none : -number;
  }
  const found: Xattr[] = [];
  for (let at = 0; at < size;) {
    const end = listBytes.indexOf(0, at);
    const name = decodePath(listBytes.subarray(at, end));
    at = end + 1;
    const bytes = encodePath(`${name}\0`);
    const length = isPathOnly
      ? getxattr(path, bytes, valueBytes, maxBytes)
      : fgetxattr(fd, bytes, valueBytes, maxBytes);
    const number = length < 0 ? errno() : 0;
    if (number === 0) found.push({ name, value: Buffer.from(valueBytes.subarray(0, length)) });
    else if (!isGone(number)) return -number;
  }
  return found;
}

/** Asks for an attribute that never exists: a filesystem without extended attributes answers differently. */
export function supportsXattrs(path: string): boolean {
  const size = getxattr(path, encodePath("security.fim-agent\0"), valueBytes, maxBytes);
  return size >= 0 || errno() === ENODATA;
}

/** Removed since the listing, or listed by a filesystem that does not give it. */
function isGone(number: number): boolean {
  return number === ENODATA || number === ENOTSUP;
}
