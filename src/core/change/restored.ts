import { slight } from "./change.ts";
import type { Change } from "./change.ts";
import { differences } from "./compare.ts";
import type { Observation } from "./observation.ts";
import type { FileClass } from "../policy/rule.ts";

/** The state of a path that was approved last. Undefined: it is approved that nothing is there. */
export type Approved = (path: string) => Observation | undefined;

/**
 * Whether a change brought a path back to the state that was approved last, its times, inode and link count aside. Of a
 * rename the old name must be free in that state. A class that lets a file grow approves states that are not kept: there
 * the last known one is an older one, and going back to it can be an attack. Nor is a removal a restore: it may hide what
 * was there.
 */
export function isRestored(change: Change, fileClass: FileClass, approved: Approved): boolean {
  if (fileClass === "sealed" || fileClass === "append-only") return false;
  switch (change.kind) {
    case "created":
      return differsSlightly(change.path, change.after, approved);
    case "modified":
      return isSlight(change)
        ? isExactly(change.path, change.after, approved)
        : differsSlightly(change.path, change.after, approved);
    case "renamed":
      return (
        change.count === undefined &&
        !approved(change.from) &&
        differsSlightly(change.path, change.after, approved)
      );
    case "deleted":
    case "transient":
    case "mounted":
    case "unmounted":
    case "unreadable":
      return false;
  }
}

function isSlight({ fields }: Change & { readonly kind: "modified" }): boolean {
  return fields.every((field) => slight.includes(field));
}

function isExactly(path: string, after: Observation, approved: Approved): boolean {
  const due = approved(path);
  return due !== undefined && differences(due, after).length === 0;
}

function differsSlightly(path: string, after: Observation, approved: Approved): boolean {
  const due = approved(path);
  // Without a digest of both sides the content is not known to be the same.
  if (!due || due.sha256 !== after.sha256 || after.unreadable !== undefined) return false;
  return differences(due, after).every((field) => slight.includes(field));
}
