import type { Change, Field } from "./change.ts";
import { isSameInode } from "./observation.ts";
import type { Observation } from "./observation.ts";

/** The observations of one path, before and now. */
export interface Look {
  readonly path: string;
  readonly before?: Observation;
  readonly after?: Observation;
}

/** The change at one path, regardless of other names. Undefined: no change that counts. */
export function compare({ path, before, after }: Look): Change | undefined {
  if (!before) return after && { kind: "created", path, after };
  if (!after) return { kind: "deleted", path, before };
  if (after.unreadable !== undefined && before.unreadable === undefined)
    return { kind: "unreadable", path, errno: after.unreadable, before, after };
  const fields = differences(before, after);
  return fields.length > 0 ? { kind: "modified", path, fields, before, after } : undefined;
}

/**
 * The fields in which two observations differ, in the contract's order. A changed type covers all but owner and mode.
 * mtime counts only where no other field explains it.
 */
export function differences(before: Observation, after: Observation): readonly Field[] {
  const sameType = before.type === after.type;
  const isLink = before.type === "symlink" || after.type === "symlink";
  const content = sameType && contentDiffers(before, after);
  const target = sameType && before.target !== after.target;
  const inode = sameType && inodeDiffers(before, after);
  const isPlain = sameType && before.type !== "directory";
  const differs: Record<Field, boolean> = {
    content,
    type: !sameType,
    mode: !isLink && before.mode !== after.mode,
    owner: before.uid !== after.uid,
    group: before.gid !== after.gid,
    target,
    acl: sameType && before.acl !== after.acl,
    capabilities: sameType && before.capabilities !== after.capabilities,
    selinux: before.selinux !== after.selinux,
    xattr: sameType && !sameRecord(before.xattrs, after.xattrs),
    flags: before.flags?.join() !== after.flags?.join(),
    links: isPlain && before.nlink !== after.nlink,
    inode,
    mtime: isPlain && !content && !target && !inode && before.mtime !== after.mtime,
  };
  return (Object.keys(differs) as Field[]).filter((field) => differs[field]);
}

/** Without both digests, another size, time or file counts as another content. */
function contentDiffers(before: Observation, after: Observation): boolean {
  if (before.type !== "file") return false;
  if (before.sha256 === undefined || after.sha256 === undefined)
    return (
      before.size !== after.size || before.mtime !== after.mtime || inodeDiffers(before, after)
    );
  return before.sha256 !== after.sha256;
}

/** Device numbers do not count: they may differ after a reboot. */
function inodeDiffers(before: Observation, after: Observation): boolean {
  if (before.ino !== after.ino) return true;
  return before.btime !== undefined && after.btime !== undefined && before.btime !== after.btime;
}

function sameRecord(
  a: Readonly<Record<string, string>> = {},
  b: Readonly<Record<string, string>> = {},
): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** The same file is still at its path. */
export function stayed({ before, after }: Look): boolean {
  return before !== undefined && after !== undefined && isSameFile(before, after);
}

/** Without a birth time an inode number may have been reused: then the content must match too. */
export function isSameFile(before: Observation, after: Observation): boolean {
  if (!isSameInode(before, after)) return false;
  if (before.btime !== undefined) return true;
  return before.mtime === after.mtime || before.sha256 === after.sha256;
}
