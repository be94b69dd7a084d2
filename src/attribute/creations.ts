import { Buffer } from "node:buffer";
import { lookup } from "../linux/bpf/bpf.ts";
import {
  add,
  assemble,
  at,
  call,
  exit,
  ldx,
  loadMap,
  mov,
  shiftRight,
  stx,
} from "../linux/bpf/assembler.ts";
import type { Tracepoint } from "../linux/bpf/perf.ts";
import { toKernelDevice } from "./device.ts";

/*
 * Notes which process makes which inode, so that a file made in a new directory before the engine watches it has an
 * actor. Only ext4 has a tracepoint with the new inode's number.
 */

export const creationPoint = ["ext4", "ext4_allocate_inode"] as const;

/** An inode as an observation has it. */
export interface Inode {
  readonly dev: string;
  readonly ino: string;
}

interface Creation {
  readonly pid: number;
  /** Nanoseconds since boot. */
  readonly at: bigint;
}

/** The inode's number, and its filesystem's device (dev_t) with four zeros. */
const keyLayout = { ino: 0, dev: 8 } as const;
/** The maker's process id with four zeros, and the time. */
const valueLayout = { pid: 0, at: 8 } as const;

/** Some 500 kB: records are needed within moments. */
export const creationMap = { keySize: 16, valueSize: 16, maxEntries: 4096 } as const;

const keyAt = -creationMap.keySize;
const valueAt = keyAt - creationMap.valueSize;

/** Undefined: the tracepoint lacks a field. */
export function creationProgram(mapFd: number, { fields }: Tracepoint): Buffer | undefined {
  const [dev, ino] = [fields.get("dev"), fields.get("ino")];
  if (dev?.size !== 4 || ino?.size !== 8) return undefined;
  return assemble([
    mov("r6", "r1"),
    mov("r0", 0),
    stx("dw", at("r10", keyAt + keyLayout.dev), "r0"),
    stx("dw", at("r10", valueAt + valueLayout.pid), "r0"),
    ldx("dw", "r1", at("r6", ino.offset)),
    stx("dw", at("r10", keyAt + keyLayout.ino), "r1"),
    ldx("w", "r1", at("r6", dev.offset)),
    stx("w", at("r10", keyAt + keyLayout.dev), "r1"),
    call("get_current_pid_tgid"),
    shiftRight("r0", 32),
    stx("w", at("r10", valueAt + valueLayout.pid), "r0"),
    call("ktime_get_ns"),
    stx("dw", at("r10", valueAt + valueLayout.at), "r0"),
    loadMap("r1", mapFd),
    mov("r2", "r10"),
    add("r2", keyAt),
    mov("r3", "r10"),
    add("r3", valueAt),
    mov("r4", 0),
    call("map_update_elem"),
    mov("r0", 0),
    exit(),
  ]);
}

const key = Buffer.alloc(creationMap.keySize);
const value = Buffer.alloc(creationMap.valueSize);

/** One system call. Undefined: older than the map, evicted, or another filesystem. */
export function readCreation(mapFd: number, { dev, ino }: Inode): Creation | undefined {
  key.writeBigUInt64LE(BigInt(ino), keyLayout.ino);
  key.writeUInt32LE(toKernelDevice(dev), keyLayout.dev);
  if (!lookup(mapFd, key, value)) return undefined;
  return {
    pid: value.readUInt32LE(valueLayout.pid),
    at: value.readBigUInt64LE(valueLayout.at),
  };
}
