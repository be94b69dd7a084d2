import { Buffer } from "node:buffer";
import { declare } from "./libc.ts";

/** include/uapi/asm-generic/resource.h */
const RLIMIT_MEMLOCK = 8;
const RLIM_INFINITY = 2n ** 64n - 1n;

type Prlimit = (
  ...call: [pid: number, resource: number, next: Buffer | null, old: Buffer | null]
) => number;
let prlimitCall: Prlimit | undefined;

/**
 * Lets this process lock as much memory as it may (prlimit(2)): before Linux 5.11 BPF maps count as locked memory.
 * Without CAP_SYS_RESOURCE the hard limit stays. Returns the limit in bytes; undefined: none.
 */
export function raiseLockedMemory(): bigint | undefined {
  prlimitCall ??= declare<Prlimit>("int prlimit64(int, int, void *, void *)");
  const limit = Buffer.alloc(16);
  limit.writeBigUInt64LE(RLIM_INFINITY, 0);
  limit.writeBigUInt64LE(RLIM_INFINITY, 8);
  if (prlimitCall(0, RLIMIT_MEMLOCK, limit, null) === 0) return undefined;
  if (prlimitCall(0, RLIMIT_MEMLOCK, null, limit) !== 0) return undefined;
  const hard = limit.readBigUInt64LE(8);
  limit.writeBigUInt64LE(hard, 0);
  prlimitCall(0, RLIMIT_MEMLOCK, limit, null);
  return hard === RLIM_INFINITY ? undefined : hard;
}
