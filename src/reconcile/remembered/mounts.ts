import { IntegrityError } from "../../core/error.ts";
import type { Mount } from "../../core/change/mount.ts";
import { diffRemembered } from "../../core/change/mountinfo.ts";
import { isBelow } from "../../core/path.ts";
import type { RuleIndex } from "../../core/policy/rule.ts";
import type { MountHint } from "../reconcile.ts";
import { readMeta, transact, writeMeta } from "../../sqlite/open.ts";
import { findMountTable, readMounts } from "../../watch/mounts.ts";
import type { MountTable } from "../../watch/mounts.ts";
import type { Node } from "../../node/node.ts";
import type { State } from "../../node/state.ts";

const metaKey = "mounts";

/** The node's mounts and the mount table that they were read from; another table shows other mounts. */
interface Seen {
  readonly table: MountTable;
  readonly mounts: readonly Mount[];
}

/** True for a mount point at, above or inside of a watched path. */
export function matters(path: string, index: RuleIndex): boolean {
  if (index.find(path) ?? index.mayMatchBelow(path)) return true;
  return index.roots.some((root) => root === path || isBelow(root, path));
}

/** Mounts and unmounts since the last run. */
export function mountsSince(state: State, node: Node): readonly MountHint[] {
  const before = remembered(state);
  const now = seen(node.root);
  if (!before || !now || JSON.stringify(before.table) !== JSON.stringify(now.table)) return [];
  const isWatched = (path: string): boolean => matters(path, node.index);
  const at = Date.now();
  return diffRemembered(before.mounts, now.mounts, isWatched).map((change) => ({
    ...change,
    engine: "mounts",
    at,
  }));
}

/** Remembers the present mounts for the next start. If they cannot be stored, the next start reports them again. */
export function rememberMounts({ db }: State, root: string): void {
  const now = seen(root);
  if (!now) return;
  const text = JSON.stringify(now);
  try {
    if (readMeta(db, metaKey) !== text) transact(db, () => writeMeta(db, metaKey, text));
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
  }
}

/** Undefined: unreadable. The mount watcher reports that. */
function seen(root: string): Seen | undefined {
  try {
    const table = findMountTable(root);
    return { table, mounts: readMounts(table) };
  } catch {
    return undefined;
  }
}

/** Undefined: absent or altered. It is unsigned, and an altered one must not stop the agent. */
function remembered({ db }: State): Seen | undefined {
  try {
    const value = JSON.parse(readMeta(db, metaKey) ?? "{}") as Partial<Seen>;
    const { table, mounts } = value;
    return table && Array.isArray(mounts) && mounts.every(isMount) ? { table, mounts } : undefined;
  } catch {
    return undefined;
  }
}

function isMount(value: Partial<Mount> | null): value is Mount {
  return (
    typeof value === "object" &&
    value !== null &&
    Number.isSafeInteger(value.id) &&
    Array.isArray(value.options) &&
    [value.path, value.root, value.type, value.source, value.dev, ...value.options].every(
      (text) => typeof text === "string",
    )
  );
}
