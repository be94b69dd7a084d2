import { constants } from "node:fs";
import { parentOf, printable } from "../../core/path.ts";
import { markDescriptor, openGroup } from "../../linux/fanotify.ts";
import type { Group } from "../../linux/fanotify.ts";
import { close, lookFlags, openInRoot, openRoot } from "../../linux/files.ts";
import { directoryHandle } from "../../linux/handles.ts";
import { errnoName } from "../../linux/libc.ts";
import type { Node } from "../../node/node.ts";
import { filesystemOf } from "../../watch/mounts.ts";

/** At most this many places are listed. */
const mostListed = 5;

/**
 * Tries a mark in the state directory and at each rule's root, in the order of `watch`: a group that marks one
 * filesystem may be refused another one (fanotify_mark(2), EXDEV). Returns the places that fanotify refuses, each with
 * errno and filesystem.
 */
export function unmarkable({ root, index }: Node, state: string): readonly string[] {
  const group = openGroup();
  const ownFd = openRoot("/");
  const rootFd = openRoot(root);
  try {
    tryMark(group, ownFd, state);
    const refused = index.roots.flatMap((path) => {
      const [place, fault] = tryMark(group, rootFd, path);
      if (fault === 0) return [];
      return [`${printable(place)} (${errnoName(fault)} on ${filesystemOf(root, place) ?? "?"})`];
    });
    const all = [...new Set(refused)];
    const more = all.length > mostListed ? [`${all.length - mostListed} more`] : [];
    return [...all.slice(0, mostListed), ...more];
  } finally {
    close(rootFd);
    close(ownFd);
    close(group.fd);
  }
}

/** The path, or the nearest place above it that exists, and the errno of its mark or 0. */
function tryMark(group: Group, rootFd: number, path: string): readonly [string, number] {
  const fd = openInRoot(rootFd, path, lookFlags & ~constants.O_NOFOLLOW);
  if (fd < 0) return path === "/" ? [path, -fd] : tryMark(group, rootFd, parentOf(path));
  try {
    const handle = directoryHandle(fd);
    const marked = markDescriptor({ group, wanted: ["attrib"], target: "file" }, fd);
    return [path, -Math.min(marked, typeof handle === "number" ? handle : 0)];
  } finally {
    close(fd);
  }
}
