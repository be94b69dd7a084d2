import type { Mount } from "../../core/change/mount.ts";
import { diffRemembered } from "../../core/change/mountinfo.ts";
import { comparePaths } from "../../core/path.ts";
import type { ApprovedMount, ApprovedMounts } from "../../core/record/mounts.ts";
import { findMountTable, readMounts } from "../../watch/mounts.ts";
import type { Node } from "../../node/node.ts";
import type { MountHint } from "../reconcile.ts";
import { matters } from "../remembered/mounts.ts";

/** The mounts at, above and inside watched paths now. Undefined: the mount table is unreadable. */
export function presentMounts({ root, index }: Node): ApprovedMounts | undefined {
  try {
    const { file, prefix } = findMountTable(root);
    const points = readMounts({ file, prefix })
      .filter(({ path }) => path !== "/" && matters(path, index))
      .map(({ path, root: inside, type, source }) => ({ path, root: inside, type, source }))
      .toSorted((a, b) => comparePaths(a.path, b.path));
    return { table: { file, prefix }, points };
  } catch {
    return undefined;
  }
}

/** Mounts and unmounts since the approval. None where another mount table was approved, or none at all. */
export function mountsSinceApproval(
  approved: ApprovedMounts | undefined,
  node: Node,
): readonly MountHint[] {
  const present = presentMounts(node);
  if (!approved || !present || !isSameTable(approved, present)) return [];
  const at = Date.now();
  const isWatched = (path: string): boolean => matters(path, node.index);
  return diffRemembered(approved.points.map(asMount), present.points.map(asMount), isWatched).map(
    (change) => ({ ...change, engine: "mounts", at }),
  );
}

interface Acceptance {
  readonly isEvery: boolean;
  readonly isAccepted: (path: string) => boolean;
}

/**
 * The approved mounts after the present ones at these paths are approved too. Where nothing compares with them (no mount
 * or another table was approved before), only `isEvery` approves them: never unseen with another path.
 */
export function withPresentMounts(
  { approved, present }: Readonly<Record<"approved" | "present", ApprovedMounts | undefined>>,
  { isEvery, isAccepted }: Acceptance,
): ApprovedMounts | undefined {
  if (!present) return approved;
  if (!approved || !isSameTable(approved, present)) return isEvery ? present : approved;
  const points = [
    ...approved.points.filter(({ path }) => !isAccepted(path)),
    ...present.points.filter(({ path }) => isAccepted(path)),
  ].toSorted((a, b) => comparePaths(a.path, b.path));
  return { table: present.table, points };
}

function isSameTable(a: ApprovedMounts, b: ApprovedMounts): boolean {
  return a.table.file === b.table.file && a.table.prefix === b.table.prefix;
}

function asMount({ path, root, type, source }: ApprovedMount): Mount {
  return { id: 0, path, root, type, source, options: [], dev: "" };
}
