import { IntegrityError } from "../error.ts";

/** The type of a filesystem object. */
export type FileType = "file" | "directory" | "symlink" | "fifo" | "socket" | "block" | "char";

/** An observation of a path. Never differs from itself; holds nothing that reading changes. */
export interface Observation {
  readonly type: FileType;
  /** The twelve permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; of a directory always 0. */
  readonly size: number;
  /** RFC 3339 in UTC with nine digits of seconds. */
  readonly mtime: string;
  readonly ctime: string;
  /** Birth time, where the filesystem has it. */
  readonly btime?: string;
  /** "major:minor" of the filesystem's device. */
  readonly dev: string;
  /** Decimal: inode numbers can exceed 2^53. */
  readonly ino: string;
  /** Hard links; of a directory always 1. */
  readonly nlink: number;
  /** Lower-case hex. Absent: not a file, not asked for, or not readable. */
  readonly sha256?: string;
  /** Of a symbolic link; of a device file "major:minor" of the device. */
  readonly target?: string;
  /** POSIX ACL in short text form ("user::rw-,user:1000:r--,…"); of a directory with its default ACL. */
  readonly acl?: string;
  /** File capabilities in text form ("cap_net_raw=ep"). */
  readonly capabilities?: string;
  readonly selinux?: string;
  /** Every other extended attribute: name -> value, base64. */
  readonly xattrs?: Readonly<Record<string, string>>;
  /** "immutable", "append", "verity": sorted. Absent: none. */
  readonly flags?: readonly string[];
  /** The file changed during three readings: sha256 is of the last one. */
  readonly unstable?: true;
  /** The errno's name: the path exists but could not be read. */
  readonly unreadable?: string;
  /** Digest of the first bytes, when asked for (class append-only). Not stored. */
  readonly prefix?: { readonly size: number; readonly sha256: string };
}

const rowKeys = [
  "type",
  "mode",
  "uid",
  "gid",
  "size",
  "mtime",
  "ctime",
  "btime",
  "dev",
  "ino",
  "nlink",
  "sha256",
  "target",
  "acl",
  "capabilities",
  "selinux",
  "xattrs",
  "flags",
  "unstable",
  "unreadable",
] as const satisfies readonly (keyof Observation)[];

/**
 * The stored and signed form of an observation: JSON with the keys in the order above, without absent ones
 * (docs/formats.md). Its bytes are kept as written, never re-serialised.
 */
export function rowOf(observation: Observation): string {
  const row: Partial<Record<keyof Observation, unknown>> = {};
  for (const key of rowKeys) if (observation[key] !== undefined) row[key] = observation[key];
  return JSON.stringify(row);
}

/** Even its inode is unreadable: the path may exist or not. */
export function isUnseen({ unreadable, nlink }: Observation): boolean {
  return unreadable !== undefined && nlink === 0;
}

/** A stored row -> observation. A row without a mandatory part was altered or damaged. */
export function parseRow(row: string): Observation {
  const parsed = parseObject(row);
  if (parsed && texts.every((key) => typeof parsed[key] === "string"))
    if (numbers.every((key) => typeof parsed[key] === "number")) return parsed as Observation;
  const found = JSON.stringify(row.length > 60 ? `${row.slice(0, 60)}…` : row);
  throw new IntegrityError("STATE_UNUSABLE", `stored row ${found}: altered or damaged`, {
    hint: "keep the database as evidence, move it away, then capture again with: fim-agent baseline --replace --reason TEXT",
  });
}

const texts = ["type", "mtime", "ctime", "dev", "ino"] as const satisfies (keyof Observation)[];
const numbers = ["mode", "uid", "gid", "size", "nlink"] as const satisfies (keyof Observation)[];

function parseObject(text: string): Partial<Observation> | undefined {
  try {
    return (JSON.parse(text) as Partial<Observation> | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Same inode and, where known, same birth time: the same file under any name. */
export function isSameInode(a: Observation, b: Observation): boolean {
  return a.ino === b.ino && a.dev === b.dev && a.type === b.type && a.btime === b.btime;
}
