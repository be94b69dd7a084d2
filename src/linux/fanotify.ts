import { Buffer } from "node:buffer";
import { constants as os } from "node:os";
import { IntegrityError } from "../core/error.ts";
import { decodePath } from "../core/path.ts";
import { declare, errno, errnoName } from "./libc.ts";

/*
 * fanotify(7): a group of marks on inodes, and its events. Numbers: include/uapi/linux/fanotify.h.
 */

/** The steps of an event. A group merges waiting events, so that one event can hold several, in unknown order. */
export const bits = {
  modify: 0x2,
  attrib: 0x4,
  closeWrite: 0x8,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  delete: 0x200,
  deleteSelf: 0x400,
  moveSelf: 0x800,
  openExec: 0x1000,
  overflow: 0x4000,
  /** Linux 5.17. */
  rename: 0x1000_0000,
} as const;
export type Bit = keyof typeof bits;

/** Also for the entries of a marked directory, and for directories. */
const FAN_EVENT_ON_CHILD = 0x0800_0000;
const FAN_ONDIR = 0x4000_0000;

const FAN_CLOEXEC = 0x1;
const FAN_NONBLOCK = 0x2;
const FAN_UNLIMITED_QUEUE = 0x10;
const FAN_UNLIMITED_MARKS = 0x20;
const FAN_REPORT_FID = 0x200;
const FAN_REPORT_DFID_NAME = 0x400 | 0x800;
const FAN_REPORT_TARGET_FID = 0x1000;

const FAN_MARK_ADD = 0x1;
const FAN_MARK_DONT_FOLLOW = 0x4;
const AT_FDCWD = -100;

/** What a group reports of an event, by kernel version. */
export type Level =
  /** 5.17: FAN_RENAME, and the handle of the created, renamed or deleted object. */
  | "target"
  /** 5.9: the directory's handle and name, and the object's own handle for events without a name. */
  | "file";
export const levels: readonly Level[] = ["target", "file"];

const usualFlags = FAN_CLOEXEC | FAN_NONBLOCK | FAN_UNLIMITED_MARKS | FAN_REPORT_DFID_NAME;
const flagsOf: Readonly<Record<Level, number>> = {
  target: usualFlags | FAN_REPORT_FID | FAN_REPORT_TARGET_FID,
  file: usualFlags | FAN_REPORT_FID,
};

/** "bounded": at most fs.fanotify.max_queued_events wait; beyond that the kernel reports an overflow. */
export type QueueSize = "unlimited" | "bounded";

export interface Group {
  readonly fd: number;
  readonly level: Level;
}

/**
 * Opens a group with the best level of this kernel. Throws UNSUPPORTED: no permission (CAP_SYS_ADMIN), or older than
 * 5.9.
 */
export function openGroup(
  allowed: readonly Level[] = levels,
  size: QueueSize = "unlimited",
): Group {
  const init = declare<(flags: number, openFlags: number) => number>(
    "int fanotify_init(unsigned int, unsigned int)",
  );
  const queueFlags = size === "unlimited" ? FAN_UNLIMITED_QUEUE : 0;
  let number = 0;
  for (const level of allowed) {
    const fd = init(flagsOf[level] | queueFlags, 0);
    if (fd >= 0) return { fd, level };
    number = errno();
    if (number !== os.errno.EINVAL) break;
  }
  throw new IntegrityError("UNSUPPORTED", `fanotify_init: ${errnoName(number)}`, {
    hint: "it needs CAP_SYS_ADMIN, and a kernel whose fanotify reports names (FAN_REPORT_DIR_FID)",
  });
}

export interface Mark {
  readonly group: Group;
  /** The wanted steps; a directory also says whether its entries count. */
  readonly wanted: readonly Bit[];
  readonly target: "file" | "directory" | "directory and entries";
}

type MarkCall = (
  ...args: [group: number, flags: number, mask: number, dir: number, path: Buffer]
) => number;
let markCall: MarkCall | undefined;

/** Marks the inode of a name (NUL at its end) without following it. Returns 0, or minus errno. */
export function markEntry(mark: Mark, dirFd: number, name: Buffer): number {
  return addMark(FAN_MARK_ADD | FAN_MARK_DONT_FOLLOW, mark, { dirFd, name });
}

/** The inode behind a descriptor, which may be O_PATH. Returns 0, or minus errno. */
export function markDescriptor(mark: Mark, fd: number): number {
  return addMark(FAN_MARK_ADD, mark, {
    dirFd: AT_FDCWD,
    name: Buffer.from(`/proc/self/fd/${fd}\0`),
  });
}

function addMark(
  flags: number,
  { group, wanted, target }: Mark,
  { dirFd, name }: { readonly dirFd: number; readonly name: Buffer },
): number {
  markCall ??= declare<MarkCall>(
    "int fanotify_mark(int group, unsigned int flags, uint64_t mask, int dir, const void *path)",
  );
  let mask = target === "file" ? 0 : FAN_ONDIR;
  if (target === "directory and entries") mask += FAN_EVENT_ON_CHILD;
  for (const bit of wanted) mask += bits[bit];
  return markCall(group.fd, flags, mask, dirFd, name) === 0 ? 0 : -errno();
}

/** A name in a directory known by its handle. "." is the directory itself. */
export interface NamedEntry {
  readonly dir: string;
  readonly name: string;
}

export interface FanotifyEvent {
  readonly bits: readonly Bit[];
  readonly isDirectory: boolean;
  /** 0: the process is not in our PID namespace. */
  readonly pid: number;
  /** The object's own handle. */
  readonly object?: string;
  readonly entry?: NamedEntry;
  /** The two sides of a rename; one is absent when its directory is not marked. */
  readonly oldEntry?: NamedEntry;
  readonly newEntry?: NamedEntry;
}

export interface Parsed {
  readonly events: readonly FanotifyEvent[];
  /** False: the bytes were malformed; something was lost. */
  readonly isWhole: boolean;
}

// struct fanotify_event_metadata: u32 event_len, u8 vers, u8 reserved, u16 metadata_len, u64 mask, s32 fd, s32 pid
const metadataSize = 24;
const metadataVersion = 3;
const maskAt = 8;
const pidAt = 20;

/** Bytes from read(2) -> events. Never throws and always ends, whatever the bytes are. */
export function parseEvents(bytes: Buffer): Parsed {
  const events: FanotifyEvent[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = eventLength(bytes, at);
    if (length === 0) return { events, isWhole: false };
    const event = parseEvent(bytes.subarray(at, at + length));
    if (!event) return { events, isWhole: false };
    events.push(event);
    at += length;
  }
  return { events, isWhole: true };
}

function eventLength(bytes: Buffer, at: number): number {
  if (at + metadataSize > bytes.length) return 0;
  const length = bytes.readUInt32LE(at);
  const isGood = length >= metadataSize && at + length <= bytes.length;
  return isGood && bytes[at + 4] === metadataVersion ? length : 0;
}

type Records = {
  -readonly [Key in "object" | "entry" | "oldEntry" | "newEntry"]?: FanotifyEvent[Key];
};

function parseEvent(bytes: Buffer): FanotifyEvent | undefined {
  const records: Records = {};
  let at = bytes.readUInt16LE(6);
  if (at < metadataSize) return undefined;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undefined;
    const length = bytes.readUInt16LE(at + 2);
    if (length < 4 || at + length > bytes.length) return undefined;
    addRecord(records, bytes.subarray(at, at + length));
    at += length;
  }
  const mask = bytes.readUInt32LE(maskAt);
  return {
    bits: bitsOf(mask),
    isDirectory: (mask & FAN_ONDIR) !== 0,
    pid: bytes.readInt32LE(pidAt),
    ...(records as Partial<FanotifyEvent>),
  };
}

// struct fanotify_event_info_header: u8 type, u8 pad, u16 len; then fsid (8), u32 handle_bytes, s32 handle_type, handle
const infoFid = 1;
const infoDfidName = 2;
const infoDfid = 3;
const infoOldDfidName = 10;
const infoNewDfidName = 12;
const fidAt = 4;
const handleBytesAt = 12;
const handleAt = 20;

/** Skips a record of an unknown type or with an impossible handle: the event then says less. */
function addRecord(records: Records, info: Buffer): void {
  if (info.length < handleAt) return;
  const end = handleAt + info.readUInt32LE(handleBytesAt);
  if (end > info.length) return;
  const key = info.toString("latin1", fidAt, end);
  const type = info[0];
  if (type === infoFid) records.object = key;
  else if (type === infoDfid) records.entry = { dir: key, name: "." };
  else if (type === infoDfidName) records.entry = { dir: key, name: nameAt(info, end) };
  else if (type === infoOldDfidName) records.oldEntry = { dir: key, name: nameAt(info, end) };
  else if (type === infoNewDfidName) records.newEntry = { dir: key, name: nameAt(info, end) };
}

function nameAt(info: Buffer, from: number): string {
  const end = info.indexOf(0, from);
  return decodePath(info.subarray(from, end < 0 ? info.length : end));
}

const knownMasks = new Map<number, readonly Bit[]>();
const namedBits = Object.entries(bits) as readonly (readonly [Bit, number])[];

function bitsOf(mask: number): readonly Bit[] {
  const known = knownMasks.get(mask);
  if (known) return known;
  const found = namedBits.filter(([, bit]) => (mask & bit) !== 0).map(([name]) => name);
  if (knownMasks.size < 1000) knownMasks.set(mask, found);
  return found;
}

let readCall: ((fd: number, into: Buffer, size: number) => number) | undefined;

/** Reads as many events as fit. Returns their size, or minus errno: EAGAIN when none waits. */
export function readEvents(groupFd: number, into: Buffer): number {
  readCall ??= declare("long read(int fd, void *into, size_t size)");
  const size = readCall(groupFd, into, into.length);
  return size >= 0 ? size : -errno();
}
