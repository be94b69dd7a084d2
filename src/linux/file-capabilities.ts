import type { Buffer } from "node:buffer";

/** By number, linux/capability.h. */
const names = [
  "chown",
  "dac_override",
  "dac_read_search",
  "fowner",
  "fsetid",
  "kill",
  "setgid",
  "setuid",
  "setpcap",
  "linux_immutable",
  "net_bind_service",
  "net_broadcast",
  "net_admin",
  "net_raw",
  "ipc_lock",
  "ipc_owner",
  "sys_module",
  "sys_rawio",
  "sys_chroot",
  "sys_ptrace",
  "sys_pacct",
  "sys_admin",
  "sys_boot",
  "sys_nice",
  "sys_resource",
  "sys_time",
  "sys_tty_config",
  "mknod",
  "lease",
  "audit_write",
  "audit_control",
  "setfcap",
  "mac_override",
  "mac_admin",
  "syslog",
  "wake_alarm",
  "block_suspend",
  "audit_read",
  "perfmon",
  "bpf",
  "checkpoint_restore",
];

// struct vfs_cap_data and vfs_ns_cap_data, linux/capability.h: u32 magic, then u32 permitted and inheritable
// for each 32 capabilities, then (revision 3) u32 rootid.
const revisionMask = 0xff00_0000;
const effectiveBit = 0x1; // VFS_CAP_FLAGS_EFFECTIVE
const sizes = new Map([
  [0x0100_0000, 12],
  [0x0200_0000, 20],
  [0x0300_0000, 24],
]);
const rootIdAt = 20;

/** The sets a capability is in, as bits, and their letters in the order of cap_to_text(3). */
const effective = 1;
const permitted = 2;
const inheritable = 4;
const allStates = [7, 6, 5, 4, 3, 2, 1, 0] as const;

/**
 * security.capability -> what `getcap -n` prints ("cap_net_raw=ep", "cap_chown=i cap_kill+p",
 * "cap_net_raw=ep [rootid=1000]"), or undefined when the bytes are none of the three known revisions.
 */
export function capabilityText(bytes: Buffer): string | undefined {
  if (bytes.length < 4) return undefined;
  const size = sizes.get((bytes.readUInt32LE(0) & revisionMask) >>> 0);
  if (size !== bytes.length) return undefined;
  const all = Array.from({ length: size === 12 ? 32 : 64 }, (_, number) => stateOf(bytes, number));
  const rootId = size > rootIdAt ? bytes.readUInt32LE(rootIdAt) : 0;
  return rootId === 0 ? textOf(all) : `${textOf(all)} [rootid=${rootId}]`;
}

function stateOf(bytes: Buffer, number: number): number {
  const word = 4 + 8 * (number >>> 5);
  const bit = 1 << (number & 31);
  const state =
    ((bytes.readUInt32LE(word) & bit) !== 0 ? permitted : 0) +
    ((bytes.readUInt32LE(word + 4) & bit) !== 0 ? inheritable : 0);
  const isEffective = ((bytes[0] ?? 0) & effectiveBit) !== 0;
  return isEffective && state > 0 ? state + effective : state;
}

/** As cap_to_text(3): the sets that most named capabilities have, then the differences by groups. */
function textOf(all: readonly number[]): string {
  const named = all.slice(0, names.length);
  const base = commonest(named);
  let text = `=${letters(base)}`;
  for (const state of allStates) {
    const group = names.filter((_, number) => named[number] === state && state !== base);
    if (group.length === 0) continue;
    const added = letters(state & ~base);
    const taken = letters(~state & base);
    const sign = text === "=" ? "=" : "+";
    const list = group.map((name) => `cap_${name}`).join(",");
    text = text === "=" ? list : `${text} ${list}`;
    text += `${added && `${sign}${added}`}${taken && `-${taken}`}`;
  }
  for (const state of allStates) {
    const group = all.flatMap((one, number) =>
      number >= names.length && one === state && state > 0 ? [number] : [],
    );
    if (group.length > 0) text += ` ${group.join(",")}+${letters(state)}`;
  }
  return text;
}

/** Of equally common ones, the one with fewer sets. */
function commonest(states: readonly number[]): number {
  const counts = allStates.map((state) => states.filter((one) => one === state).length);
  return 7 - counts.lastIndexOf(Math.max(...counts));
}

function letters(state: number): string {
  return `${state & effective ? "e" : ""}${state & inheritable ? "i" : ""}${state & permitted ? "p" : ""}`;
}
