import { Buffer } from "node:buffer";

/*
 * A very small assembler for BPF (RFC 9669). An instruction is eight bytes: opcode, registers, a signed
 * 16-bit offset and a signed 32-bit immediate value. Only what the programs of exec-history need is here.
 */

/** r0 result, r1 to r5 arguments (lost in a call), r6 to r9 kept over a call, r10 the frame's end (512 bytes below it). */
type Register = `r${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`;

/** Bytes: b 1, h 2, w 4, dw 8. */
type Width = "b" | "h" | "w" | "dw";

/** A place in memory: the register's value plus an offset. */
export interface Place {
  readonly base: Register;
  readonly offset: number;
}

/** Numbers of bpf_func_id (linux/bpf.h). */
const helpers = {
  map_lookup_elem: 1,
  map_update_elem: 2,
  ktime_get_ns: 5,
  get_current_pid_tgid: 14,
  get_current_uid_gid: 15,
  get_current_comm: 16,
  get_current_task: 35,
  get_current_cgroup_id: 80,
  probe_read_user: 112,
  probe_read_kernel: 113,
  probe_read_user_str: 114,
  probe_read_kernel_str: 115,
} as const;
type Helper = keyof typeof helpers;

export type Line =
  | { readonly kind: "code"; readonly words: readonly Word[] }
  | { readonly kind: "jump"; readonly word: Word; readonly to: string }
  | { readonly kind: "label"; readonly name: string };

interface Word {
  readonly opcode: number;
  readonly to?: Register;
  readonly from?: Register;
  readonly offset?: number;
  readonly value?: number;
}

const load = { b: 0x71, h: 0x69, w: 0x61, dw: 0x79 } as const;
const store = { b: 0x73, h: 0x6b, w: 0x63, dw: 0x7b } as const;

export function at(base: Register, offset: number): Place {
  return { base, offset };
}

/** to = from */
export function mov(to: Register, from: Register | number): Line {
  return typeof from === "number"
    ? code({ opcode: 0xb7, to, value: from })
    : code({ opcode: 0xbf, to, from });
}

/** to += from */
export function add(to: Register, from: Register | number): Line {
  return typeof from === "number"
    ? code({ opcode: 0x07, to, value: from })
    : code({ opcode: 0x0f, to, from });
}

/** to -= from */
export function sub(to: Register, from: Register): Line {
  return code({ opcode: 0x1f, to, from });
}

/** to &= mask */
export function and(to: Register, mask: number): Line {
  return code({ opcode: 0x57, to, value: mask });
}

/** to >>= bits, filling with zeros. */
export function shiftRight(to: Register, bits: number): Line {
  return code({ opcode: 0x77, to, value: bits });
}

/** to = *(width *) place */
export function ldx(width: Width, to: Register, place: Place): Line {
  return code({ opcode: load[width], to, from: place.base, offset: place.offset });
}

/** *(width *) place = from */
export function stx(width: Width, place: Place, from: Register): Line {
  return code({ opcode: store[width], to: place.base, from, offset: place.offset });
}

/** to = the map behind this descriptor (BPF_PSEUDO_MAP_FD): the one instruction of sixteen bytes. */
export function loadMap(to: Register, mapFd: number): Line {
  return code({ opcode: 0x18, to, from: "r1", value: mapFd }, { opcode: 0 });
}

/** r0 = helper(r1, …, r5) */
export function call(helper: Helper): Line {
  return code({ opcode: 0x85, value: helpers[helper] });
}

export function exit(): Line {
  return code({ opcode: 0x95 });
}

export function label(name: string): Line {
  return { kind: "label", name };
}

export function jump(to: string): Line {
  return { kind: "jump", word: { opcode: 0x05 }, to };
}

export function jumpIfZero(register: Register, to: string): Line {
  return { kind: "jump", word: { opcode: 0x15, to: register, value: 0 }, to };
}

/** if ((s64)register < 0) goto to */
export function jumpIfNegative(register: Register, to: string): Line {
  return { kind: "jump", word: { opcode: 0xc5, to: register, value: 0 }, to };
}

/** if ((u64)register > value) goto to */
export function jumpIfAbove(register: Register, value: number, to: string): Line {
  return { kind: "jump", word: { opcode: 0x25, to: register, value }, to };
}

/** Instructions as the kernel reads them. A label that is missing, or there twice, is a bug and throws. */
export function assemble(lines: readonly Line[]): Buffer {
  const labels = placeLabels(lines);
  const words: Word[] = [];
  for (const line of lines) {
    if (line.kind === "code") words.push(...line.words);
    if (line.kind !== "jump") continue;
    const target = labels.get(line.to);
    if (target === undefined) throw new TypeError(`label ${line.to}: expected one, found none`);
    words.push({ ...line.word, offset: target - words.length - 1 });
  }
  return Buffer.concat(words.map(encode));
}

function placeLabels(lines: readonly Line[]): Map<string, number> {
  const labels = new Map<string, number>();
  let position = 0;
  for (const line of lines) {
    if (line.kind === "code") position += line.words.length;
    else if (line.kind === "jump") position += 1;
    else if (labels.has(line.name))
      throw new TypeError(`label ${line.name}: expected one, found two`);
    else labels.set(line.name, position);
  }
  return labels;
}

function encode(word: Word): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(word.opcode, 0);
  bytes.writeUInt8(numberOf(word.to) | (numberOf(word.from) << 4), 1);
  bytes.writeInt16LE(word.offset ?? 0, 2);
  bytes.writeInt32LE(word.value ?? 0, 4);
  return bytes;
}

function numberOf(register: Register | undefined): number {
  return register === undefined ? 0 : Number(register.slice(1));
}

function code(...words: Word[]): Line {
  return { kind: "code", words };
}
