import { Buffer } from "node:buffer";
import type { Mount } from "./mount.ts";
import { IntegrityError } from "../error.ts";
import { decodePath } from "../path.ts";

interface MountChange {
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

/** Mounts and unmounts at, above or inside watched paths; unmounts first, so that a replaced mount reads in order. */
export function diffMounts(
  before: readonly Mount[],
  after: readonly Mount[],
  isWatched: (path: string) => boolean,
): MountChange[] {
  return diffBy(identityOf, before, after).filter(({ mount }) => isWatched(mount.path));
}

/**
 * The same between two runs of the agent. Ids, devices and disk names may differ after a reboot, and the root's
 * source after an update: none of these is a change.
 */
export function diffRemembered(
  before: readonly Mount[],
  after: readonly Mount[],
  isWatched: (path: string) => boolean,
): MountChange[] {
  return diffBy(placeOf, before, after).filter(
    ({ mount }) => mount.path !== "/" && isWatched(mount.path),
  );
}

type Naming = (mount: Mount) => string;

function diffBy(nameOf: Naming, before: readonly Mount[], after: readonly Mount[]): MountChange[] {
  const gone = beyond(nameOf, before, after).toReversed();
  const come = beyond(nameOf, after, before);
  return [
    ...gone.map((mount): MountChange => ({ kind: "unmounted", mount })),
    ...come.map((mount): MountChange => ({ kind: "mounted", mount })),
  ];
}

/** Multiset difference by name. */
function beyond(nameOf: Naming, some: readonly Mount[], others: readonly Mount[]): Mount[] {
  const known = new Map<string, number>();
  for (const name of others.map(nameOf)) known.set(name, (known.get(name) ?? 0) + 1);
  return some.filter((mount) => {
    const name = nameOf(mount);
    const left = known.get(name) ?? 0;
    known.set(name, left - 1);
    return left <= 0;
  });
}

/** Ids are reused after an unmount. Options do not count: a remount hides and shows nothing. */
function identityOf(mount: Mount): string {
  const { id, path, root, type, source, dev } = mount;
  return JSON.stringify([id, path, root, type, source, dev]);
}

function placeOf({ path, root, type }: Mount): string {
  return JSON.stringify([path, root, type]);
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
