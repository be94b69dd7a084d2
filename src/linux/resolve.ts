import { constants } from "node:fs";
import { close, lookFlags, openInRoot, openRoot, pathOfDescriptor } from "./files.ts";
import { Stat } from "./statx.ts";

/** An existing file: its path without symbolic links, on the node, and its inode. */
interface Resolved {
  readonly path: string;
  /** "major:minor" */
  readonly dev: string;
  /** Decimal. */
  readonly ino: string;
}

const followFlags = lookFlags & ~constants.O_NOFOLLOW;
const stat = new Stat();

/** Follows an absolute path through its symbolic links, never out of `root`. Undefined: it leads nowhere. */
export function resolveInRoot(root: string, path: string): Resolved | undefined {
  const rootFd = openRoot(root);
  try {
    const fd = openInRoot(rootFd, path, followFlags);
    if (fd < 0) return undefined;
    try {
      if (stat.fill(fd) !== 0) return undefined;
      const { dev, ino } = stat;
      const real = pathIn(rootFd, fd);
      return real === undefined ? undefined : { path: real, dev, ino };
    } finally {
      close(fd);
    }
  } finally {
    close(rootFd);
  }
}

/** The path of an open file below an open directory. */
function pathIn(rootFd: number, fd: number): string | undefined {
  const [root, path] = [pathOfDescriptor(rootFd), pathOfDescriptor(fd)];
  if (root === undefined || path === undefined) return undefined;
  if (root === "/") return path;
  return path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}
