import { slight } from "./change.ts";
import type { Change } from "./change.ts";
import { differences } from "./compare.ts";
import type { Rule } from "../policy/rule.ts";
import type { Observation } from "./observation.ts";

/** The state of a path in the baseline. Undefined: the baseline has no such path. */
export type Approved = (path: string) => Observation | undefined;

/**
 * Whether the change brought a path back to what the baseline holds, its times, inode and link count aside. Of a rename
 * the old name must be free in the baseline. Where a writer or the class may have approved something later, the
 * baseline's state is an older one: going back to it can be an attack, and is no restore.
 */
export function isRestored(
  change: Change,
  { class: fileClass, writers }: Pick<Rule, "class" | "writers">,
  approved: Approved,
): boolean {
  if (fileClass !== "immutable" || writers.length > 0) return false;
  switch (change.kind) {
    case "created":
    case "modified":
      return isAsApproved(change.path, change.after, approved);
    case "renamed":
      return (
        change.count === undefined &&
        !approved(change.from) &&
        isAsApproved(change.path, change.after, approved)
      );
    case "deleted":
    case "transient":
    case "mounted":
    case "unmounted":
    case "unreadable":
      return false;
  }
}

function isAsApproved(path: string, after: Observation, approved: Approved): boolean {
  const due = approved(path);
  // Without a digest of both sides the content is not known to be the same.
  if (!due || due.sha256 !== after.sha256 || after.unreadable !== undefined) return false;
  return differences(due, after).every((field) => slight.includes(field));
}
