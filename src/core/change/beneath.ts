import { slight } from "./change.ts";
import type { Change } from "./change.ts";
import { isBelow } from "../path.ts";

/** What only shows that another filesystem is at a path: the mount's own change says so. */
export function withoutShown(
  changes: readonly Change[],
  mountPoints: readonly string[],
): readonly Change[] {
  if (mountPoints.length === 0) return changes;
  return changes.filter((change) => {
    const isSlight =
      change.kind === "modified" && change.fields.every((field) => slight.includes(field));
    return !(isSlight && isAtOrBelow(change.path, mountPoints));
  });
}

function isAtOrBelow(path: string, points: readonly string[]): boolean {
  return points.some((point) => point === path || isBelow(path, point));
}
