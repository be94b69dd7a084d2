import { Buffer } from "node:buffer";
import { checked, declare } from "./libc.ts";

/** A right (capabilities(7)) that the agent uses, and what is lost without it. */
export interface Capability {
  readonly name: string;
  /** Bit number, linux/capability.h. */
  readonly number: number;
  readonly without: string;
}

export const usefulCapabilities: readonly Capability[] = [
  {
    name: "CAP_DAC_READ_SEARCH",
    number: 2,
    without: "files of others that only their owner may read cannot be read",
  },
  { name: "CAP_FOWNER", number: 3, without: "reading a file of others changes its access time" },
  {
    name: "CAP_SYS_PTRACE",
    number: 19,
    without: "the executable of a process of another user is not told",
  },
  { name: "CAP_SYS_ADMIN", number: 21, without: "fanotify is not available" },
  { name: "CAP_PERFMON", number: 38, without: "the exec history needs CAP_SYS_ADMIN instead" },
  { name: "CAP_BPF", number: 39, without: "the exec history needs CAP_SYS_ADMIN instead" },
];

/** _LINUX_CAPABILITY_VERSION_3: two sets of three u32 (effective, permitted, inheritable). */
const version = 0x20080522;
const setSize = 12;

/** The effective capabilities of this process, as bits. */
export function effectiveCapabilities(): bigint {
  const capget = declare<(header: Buffer, data: Buffer) => number>(
    "int capget(void *header, void *data)",
  );
  const header = Buffer.alloc(8);
  header.writeUInt32LE(version, 0);
  const data = Buffer.alloc(2 * setSize);
  checked(capget(header, data), "capget", "");
  return BigInt(data.readUInt32LE(0)) | (BigInt(data.readUInt32LE(setSize)) << 32n);
}

/** Which of those that the agent uses are missing. */
export function missingCapabilities(effective: bigint): readonly Capability[] {
  return usefulCapabilities.filter(({ number }) => ((effective >> BigInt(number)) & 1n) === 0n);
}
