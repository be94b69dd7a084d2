import { Buffer } from "node:buffer";
import {
  add,
  assemble,
  at,
  call,
  exit,
  jumpIfAbove,
  jumpIfZero,
  label,
  ldx,
  loadMap,
  mov,
  shiftRight,
  stx,
  sub,
} from "../linux/bpf/assembler.ts";
import { lookup } from "../linux/bpf/bpf.ts";
import type { Tracepoint } from "../linux/bpf/perf.ts";

/*
 * Which program changed an inode. An event of fanotify carries a pid, and the process may execute another program before
 * the agent reads the event. These programs run in the process itself when it makes an inode dirty, and note the time
 * under the inode, the process and its present exec record.
 */

/** Every filesystem passes the first; ext4 changes sizes and names through its own. */
export const touchPoints = [
  ["writeback", "writeback_mark_inode_dirty"],
  ["ext4", "ext4_mark_inode_dirty"],
  // A write in the tick of the one before, into the same page, makes nothing dirty that is not so already.
  ["ext4", "ext4_da_write_begin"],
  ["ext4", "ext4_write_begin"],
  ["xfs", "xfs_file_buffered_write"],
  ["xfs", "xfs_file_direct_write"],
] as const;

/**
 * Steps of 2^30 nanoseconds, some ten seconds: a program that has run for longer changes many inodes. Its notes have a
 * map of their own, so that they displace none of a program that lives for a moment.
 */
const youngSteps = 9;

/** The two maps of notes, by the age of the program at its change. */
export interface TouchMaps {
  readonly young: number;
  readonly old: number;
}

/** Inode number; process id with four zeros; time of the exec record. */
const keyLayout = { ino: 0, pid: 8, notedAt: 16 } as const;

/** About 3 MB of kernel memory for both: a copy of a large tree displaces no note of the moments before. */
export const touchEntries = { young: 24_576, old: 8192 } as const;
export const touchShape = { keySize: 24, valueSize: 8 } as const;

const keyAt = -touchShape.keySize;
const valueAt = keyAt - touchShape.valueSize;
const pidAt = valueAt - 8;

/** Undefined: the tracepoint lacks the inode number. */
export function touchProgram(
  { fields }: Tracepoint,
  { touches, recordsFd }: { readonly touches: TouchMaps; readonly recordsFd: number },
): Buffer | undefined {
  const ino = fields.get("ino");
  if (ino?.size !== 8) return undefined;
  return assemble([
    ldx("dw", "r6", at("r1", ino.offset)),
    stx("dw", at("r10", keyAt + keyLayout.ino), "r6"),
    call("get_current_pid_tgid"),
    shiftRight("r0", 32),
    stx("dw", at("r10", keyAt + keyLayout.pid), "r0"),
    stx("w", at("r10", pidAt), "r0"),
    loadMap("r1", recordsFd),
    mov("r2", "r10"),
    add("r2", pidAt),
    call("map_lookup_elem"),
    jumpIfZero("r0", "end"),
    // notedAt is the first field of a record.
    ldx("dw", "r6", at("r0", 0)),
    stx("dw", at("r10", keyAt + keyLayout.notedAt), "r6"),
    call("ktime_get_ns"),
    stx("dw", at("r10", valueAt), "r0"),
    sub("r0", "r6"),
    shiftRight("r0", 30),
    loadMap("r1", touches.old),
    jumpIfAbove("r0", youngSteps, "note"),
    loadMap("r1", touches.young),
    label("note"),
    mov("r2", "r10"),
    add("r2", keyAt),
    mov("r3", "r10"),
    add("r3", valueAt),
    mov("r4", 0),
    call("map_update_elem"),
    label("end"),
    mov("r0", 0),
    exit(),
  ]);
}

const key = Buffer.alloc(touchShape.keySize);
const value = Buffer.alloc(touchShape.valueSize);

/** Nanoseconds since boot at which the process last changed the inode as this program. Undefined: not noted. */
export function readTouch(
  { young, old }: TouchMaps,
  { ino, pid, notedAt }: { readonly ino: string; readonly pid: number; readonly notedAt: bigint },
): bigint | undefined {
  key.writeBigUInt64LE(BigInt(ino), keyLayout.ino);
  key.writeUInt32LE(pid >>> 0, keyLayout.pid);
  key.writeBigUInt64LE(notedAt, keyLayout.notedAt);
  const isNoted = lookup(old, key, value) || lookup(young, key, value);
  return isNoted ? value.readBigUInt64LE(0) : undefined;
}
