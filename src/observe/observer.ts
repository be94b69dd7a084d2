import { constants } from "node:os";
import { IntegrityError } from "../core/error.ts";
import type { FileType, Observation } from "../core/change/observation.ts";
import {
  close,
  listFlags,
  lookFlags,
  noAtimeFlag,
  openInRoot,
  openPlain,
  openRoot,
  readDirectory,
  readLink,
  reopen,
  rootFlags,
} from "../linux/files.ts";
import type { Entry } from "../linux/files.ts";
import { errnoName, syscallError } from "../linux/libc.ts";
import { Stat } from "../linux/statx.ts";
import { readXattrs } from "../linux/xattr.ts";
import { readAttributes } from "./attributes.ts";
import type { Attributes } from "./attributes.ts";
import { Digester } from "./digest.ts";
import type { Digest, Throttle } from "./digest.ts";
import { formatTime } from "./time.ts";

/** What to read beyond the inode. */
export interface Want {
  readonly hash: boolean;
  /** Also the digest of the first bytes, or of the whole file if it is shorter. */
  readonly prefix?: number;
  /** Read no content if more than this must be read. */
  readonly maxBytes?: number;
}

interface Listing {
  /** In no particular order. */
  readonly entries: readonly Entry[];
  /** The errno's name: the directory exists but could not be listed. */
  readonly unreadable?: string;
}

const { E2BIG, EBADF, EFAULT, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSYS, ENOTDIR, EPERM } =
  constants.errno;
/** Links that concern this process, not the file. */
const ownFaults = new Set([E2BIG, EBADF, EFAULT, EMFILE, ENFILE, ENOMEM, ENOSYS]);
const maxTries = 3;

/** The result of one look at a path, beside its inode. */
interface Seen {
  readonly digest: Digest;
  readonly attributes: Attributes;
  readonly target?: string;
  /** Errno of the unreadable part, or 0. */
  readonly fault: number;
  /** The content was read, and the inode checked after it. */
  readonly isRead: boolean;
  readonly isUnstable: boolean;
}

/** Sees paths as the node does whose root is mounted at `root`. Synchronous; holds two descriptors. */
export class Observer {
  readonly #root: number;
  readonly #proc: number;
  readonly #open: typeof openInRoot;
  readonly #digester: Digester;
  readonly #before = new Stat();
  readonly #after = new Stat();

  constructor(root: string, throttle?: Throttle) {
    this.#digester = new Digester(throttle);
    this.#root = openRoot(root);
    try {
      this.#open = chooseOpen(this.#root, root);
      this.#proc = openRoot("/proc/self/fd");
    } catch (error) {
      close(this.#root);
      throw error;
    }
  }

  /**
   * The observation of a path. Undefined: it does not exist. Where even the inode is unreadable, an empty file of
   * inode 0 without links, with `unreadable`.
   */
  observe(path: string, want: Want): Observation | undefined {
    for (let attempt = 1; ; attempt += 1) {
      const fd = this.#open(this.#root, path, lookFlags);
      if (fd < 0) return missing(path, -fd);
      try {
        const fault = -this.#before.fill(fd);
        if (fault !== 0) return missing(path, fault);
        const seen = this.#look(fd, want);
        if (ownFaults.has(seen.fault)) throw syscallError("observe", path, seen.fault);
        // A file without a link was deleted or replaced since it was opened: the path names another one now.
        const last = seen.isRead ? this.#after : this.#before;
        if (last.nlink > 0 || attempt === maxTries) return write(this.#before, seen);
      } finally {
        close(fd);
      }
    }
  }

  /** The names in a directory. Undefined: no directory at the path (a symbolic link is none). */
  list(dir: string): Listing | undefined {
    const quiet = this.#open(this.#root, dir, listFlags | noAtimeFlag);
    const fd = quiet === -EPERM ? this.#open(this.#root, dir, listFlags) : quiet;
    if (fd < 0) return unlisted(dir, -fd);
    try {
      const entries = readDirectory(fd);
      return typeof entries === "number" ? unlisted(dir, -entries) : { entries };
    } finally {
      close(fd);
    }
  }

  /** Whether this path, as the process sees it, leads to the directory that was opened as the root. */
  isRoot(path: string): boolean {
    const fd = openPlain(-1, path, rootFlags);
    if (fd < 0) return false;
    try {
      const isFilled = this.#before.fill(this.#root) === 0 && this.#after.fill(fd) === 0;
      return (
        isFilled && this.#before.ino === this.#after.ino && this.#before.dev === this.#after.dev
      );
    } finally {
      close(fd);
    }
  }

  [Symbol.dispose](): void {
    close(this.#proc);
    close(this.#root);
  }

  #look(fd: number, want: Want): Seen {
    const { type, size } = this.#before;
    const isWanted = want.hash || want.prefix !== undefined;
    if (type !== "file" || !isWanted || bytesToRead(size, want) > (want.maxBytes ?? Infinity))
      return lookOutside(fd, type);
    const file = reopen(this.#proc, fd);
    if (file < 0) return { ...lookOutside(fd, type), fault: -file };
    try {
      return this.#lookInside(file, want);
    } finally {
      close(file);
    }
  }

  /** Reads a file until its inode shows no write meanwhile. */
  #lookInside(file: number, want: Want): Seen {
    for (let attempt = 1; ; attempt += 1) {
      const digest = this.#digester.digest(file, { ...want, size: this.#before.size });
      const seen = withAttributes(readXattrs(file, false));
      if (typeof digest === "number") return { ...seen, fault: -digest };
      this.#after.fill(file);
      const isUnstable = !this.#before.isUnchanged(this.#after);
      if (!isUnstable || attempt === maxTries) return { ...seen, digest, isRead: true, isUnstable };
      this.#before.fill(file);
    }
  }
}

/** openat2 where the kernel has it and seccomp allows it; plain openat for the real root. */
function chooseOpen(rootFd: number, root: string): typeof openInRoot {
  const probe = openInRoot(rootFd, "/", lookFlags);
  if (probe >= 0) {
    close(probe);
    return openInRoot;
  }
  if (probe !== -ENOSYS && probe !== -EPERM) throw syscallError("openat2", root, -probe);
  if (root === "/") return openPlain;
  throw new IntegrityError("UNSUPPORTED", `root ${root}: openat2: ${errnoName(-probe)}`, {
    hint: "a root other than / needs openat2, in the kernel and permitted by the seccomp profile",
  });
}

/** How much of a file of this size must be read. */
export function bytesToRead(size: number, want: Want): number {
  return want.hash ? size : Math.min(size, want.prefix ?? 0);
}

function lookOutside(fd: number, type: FileType): Seen {
  const seen = withAttributes(readXattrs(fd, true));
  if (type !== "symlink") return seen;
  const target = readLink(fd);
  return typeof target === "number" ? { ...seen, fault: -target } : { ...seen, target };
}

function withAttributes(xattrs: ReturnType<typeof readXattrs>): Seen {
  const isFault = typeof xattrs === "number";
  return {
    digest: {},
    attributes: isFault ? {} : readAttributes(xattrs),
    fault: isFault ? -xattrs : 0,
    isRead: false,
    isUnstable: false,
  };
}

/** The keys are in the order of a row. */
function write(stat: Stat, seen: Seen): Observation {
  const { type, btime, flags } = stat;
  const { digest, attributes } = seen;
  const isDirectory = type === "directory";
  const target = type === "char" || type === "block" ? stat.rdev : seen.target;
  return {
    type,
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    size: isDirectory ? 0 : stat.size,
    mtime: formatTime(stat.mtime),
    ctime: formatTime(stat.ctime),
    ...(btime && { btime: formatTime(btime) }),
    dev: stat.dev,
    ino: stat.ino,
    nlink: isDirectory ? 1 : stat.nlink,
    ...(digest.sha256 !== undefined && { sha256: digest.sha256 }),
    ...(target !== undefined && { target }),
    ...attributes,
    ...(flags && { flags }),
    ...(seen.isUnstable && { unstable: true }),
    ...(seen.fault !== 0 && { unreadable: errnoName(seen.fault) }),
    ...(digest.prefix && { prefix: digest.prefix }),
  };
}

const epoch = formatTime({ seconds: 0, nanoseconds: 0 });

function missing(path: string, fault: number): Observation | undefined {
  if (fault === ENOENT || fault === ENOTDIR) return undefined;
  if (ownFaults.has(fault)) throw syscallError("open", path, fault);
  return {
    type: "file",
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtime: epoch,
    ctime: epoch,
    dev: "0:0",
    ino: "0",
    nlink: 0,
    unreadable: errnoName(fault),
  };
}

function unlisted(dir: string, fault: number): Listing | undefined {
  if (fault === ENOENT || fault === ENOTDIR) return undefined;
  if (ownFaults.has(fault)) throw syscallError("list", dir, fault);
  return { entries: [], unreadable: errnoName(fault) };
}
