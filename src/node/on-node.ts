import { Buffer } from "node:buffer";
import { constants, readlinkSync } from "node:fs";
import { basename } from "node:path";
import { joinPath, nameOf, parentOf } from "../core/path.ts";
import type { OnNode } from "../core/policy/traps.ts";
import { close, lookFlags, openInRoot, openRoot, readAt } from "../linux/files.ts";
import { resolveInRoot } from "../linux/resolve.ts";
import { Stat } from "../linux/statx.ts";

const followFlags = lookFlags & ~constants.O_NOFOLLOW;

/** Looks at a path of the node whose root is seen at `root`, links followed. */
export function lookOnNode(root: string, path: string): OnNode {
  const rootFd = openRoot(root);
  const fd = openInRoot(rootFd, path, followFlags);
  try {
    if (fd < 0) return { kind: "missing" };
    const stat = new Stat();
    if (stat.fill(fd) !== 0 || stat.type === "directory") return { kind: "directory" };
    if (stat.type === "file" && isScript(rootFd, path)) return { kind: "script" };
    return { kind: "file", name: basename(readlinkSync(`/proc/self/fd/${fd}`)) };
  } finally {
    if (fd >= 0) close(fd);
    close(rootFd);
  }
}

/** The name that events and policies have for a path: its directories without symbolic links, even if it is missing. */
export function realName(root: string, path: string): string {
  if (path === "/") return path;
  const parent = parentOf(path);
  return joinPath(resolveInRoot(root, parent)?.path ?? realName(root, parent), nameOf(path));
}

/** execve(2): a file that begins with "#!" is run by the program named after it. */
function isScript(rootFd: number, path: string): boolean {
  const fd = openInRoot(rootFd, path, constants.O_RDONLY | constants.O_NONBLOCK);
  if (fd < 0) return false;
  const start = Buffer.alloc(2);
  const size = readAt(fd, 0, start);
  close(fd);
  return size === 2 && start.toString("latin1") === "#!";
}
