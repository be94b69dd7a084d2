import { Buffer } from "node:buffer";
import { checked, declare } from "./libc.ts";

/*
 * The capabilities (capabilities(7)) of this thread. Each thread has its own; a new thread inherits its parent's.
 */

/** Bit numbers of the named capabilities, linux/capability.h. */
const numbers = {
  CAP_DAC_READ_SEARCH: 2,
  CAP_FOWNER: 3,
  CAP_SETPCAP: 8,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_ADMIN: 21,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
} as const;
export type CapabilityName = keyof typeof numbers;

/** Sets of capabilities, as bits. */
export interface CapabilitySets {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
}

/** _LINUX_CAPABILITY_VERSION_3: two structures of three u32, the low half of each set and then the high half. */
const version = 0x20080522;
const halfSize = 12;
const setsOf = { effective: 0, permitted: 4, inheritable: 8 } as const;

type CapCall = (header: Buffer, data: Buffer) => number;

export function readCapabilities(): CapabilitySets {
  const capget = declare<CapCall>("int capget(void *header, void *data)");
  const data = Buffer.alloc(2 * halfSize);
  checked(capget(header(), data), "capget", "");
  const read = (at: number): bigint =>
    BigInt(data.readUInt32LE(at)) | (BigInt(data.readUInt32LE(at + halfSize)) << 32n);
  return {
    effective: read(setsOf.effective),
    permitted: read(setsOf.permitted),
    inheritable: read(setsOf.inheritable),
  };
}

/** A dropped capability cannot be regained. */
export function writeCapabilities(sets: CapabilitySets): void {
  const capset = declare<CapCall>("int capset(void *header, const void *data)");
  const data = Buffer.alloc(2 * halfSize);
  for (const name of ["effective", "permitted", "inheritable"] as const) {
    data.writeUInt32LE(Number(sets[name] & 0xffff_ffffn), setsOf[name]);
    data.writeUInt32LE(Number(sets[name] >> 32n), setsOf[name] + halfSize);
  }
  checked(capset(header(), data), "capset", "");
}

/** One of the sets. */
export function capabilityBits(names: readonly CapabilityName[]): bigint {
  return names.reduce((set, name) => set | (1n << BigInt(numbers[name])), 0n);
}

export function hasCapability(set: bigint, name: CapabilityName): boolean {
  return (set & capabilityBits([name])) !== 0n;
}

/** struct __user_cap_header_struct: u32 version, s32 pid; 0 is this thread. */
function header(): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(version, 0);
  return bytes;
}
