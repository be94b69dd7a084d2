import { Buffer } from "node:buffer";
import type { Mount } from "./mount.ts";
import { IntegrityError } from "./error.ts";
import { decodePath } from "./path.ts";

export interface MountChange {
  readonly kind: "mounted" | "unmounted";
  readonly mount: Mount;
}

/**
 * The text of /proc/PID/mountinfo, as bytes, because mount points need not be UTF-8 (proc_pid_mountinfo(5)):
 * id parent major:minor root mount-point options optional… - type source super-options
 */
export function parseMountinfo(bytes: Buffer): Mount[] {
  const lines = bytes.toString("latin1").split("\n");
  return lines.filter((line) => line !== "").map(parseLine);
}

/** What was mounted and unmounted on, above or inside watched paths; unmounted first, so that a replaced mount reads in order. */
export function diffMounts(
  before: readonly Mount[],
  after: readonly Mount[],
  isWatched: (path: string) => boolean,
): MountChange[] {
  const gone = without(before, after).toReversed();
  const come = without(after, before);
  return [
    ...gone.map((mount): MountChange => ({ kind: "unmounted", mount })),
    ...come.map((mount): MountChange => ({ kind: "mounted", mount })),
  ].filter(({ mount }) => isWatched(mount.path));
}

function without(some: readonly Mount[], others: readonly Mount[]): Mount[] {
  const known = new Set(others.map(identityOf));
  return some.filter((mount) => !known.has(identityOf(mount)));
}

/** Ids are used again after an unmount. Options are left out: a remount hides and shows nothing. */
function identityOf(mount: Mount): string {
  const { id, path, root, type, source, dev } = mount;
  return JSON.stringify([id, path, root, type, source, dev]);
}

function parseLine(line: string): Mount {
  const words = line.split(" ");
  const [id, , dev, root, path, options] = words;
  const dash = words.indexOf("-", 6);
  const [type, source] = dash < 0 ? [] : words.slice(dash + 1);
  if (!id || !dev || !root || !path || !options || type === undefined) {
    throw new IntegrityError(
      "UNSUPPORTED",
      `mountinfo: a line of at least ten words expected, found ${JSON.stringify(line.slice(0, 200))}`,
    );
  }
  return {
    id: Number(id),
    path: unescapeOctal(path),
    root: unescapeOctal(root),
    type: unescapeOctal(type),
    source: unescapeOctal(source ?? ""),
    options: options.split(","),
    dev,
  };
}

/** The kernel writes space, tab, newline, backslash and # as three octal digits. */
function unescapeOctal(word: string): string {
  const bytes = word.replace(/\\([0-3][0-7]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
  return decodePath(Buffer.from(bytes, "latin1"));
}
