import type { Actor } from "../core/change/hint.ts";
import { resolveInRoot } from "../linux/resolve.ts";
import type { ExecRecord } from "./exec-history.ts";
import type { LiveProcess } from "./process.ts";

export type Program = Pick<Actor, "exe" | "executable">;

interface Evidence {
  readonly live: LiveProcess | undefined;
  readonly record: ExecRecord | undefined;
}

/** The program of a process: from /proc while it lives, then from the note of its execution. */
export function programOf({ live, record }: Evidence, root: string): Program {
  if (live?.exe !== undefined && live.executable)
    return { exe: live.exe, executable: live.executable };
  const name = live?.exe ?? record?.filename;
  if (name === undefined) return {};
  return record?.executable ? identify(name, record.executable, root) : { exe: name };
}

/**
 * The real path of the name, if it leads to the executed file: it can go through a symbolic link, on the node or in
 * our own root. Otherwise the name as executed: relative, a script's, or another file's by now.
 */
function identify(
  name: string,
  executable: NonNullable<Program["executable"]>,
  root: string,
): Program {
  const places = name.startsWith("/") ? [...new Set([root, "/"])] : [];
  const found = places.map((place) => resolveInRoot(place, name));
  const same = found.find((one) => one?.ino === executable.ino && one.dev === executable.dev);
  if (same) return { exe: same.path, executable };
  const [there] = found;
  const isComparable = !isAnonymous(executable.dev) || (there && !isAnonymous(there.dev));
  return isComparable ? { exe: name, executable } : { exe: name };
}

/** A filesystem without a device of its own: some (btrfs, overlayfs) give stat(2) another number. */
function isAnonymous(dev: string): boolean {
  return dev.startsWith("0:");
}
