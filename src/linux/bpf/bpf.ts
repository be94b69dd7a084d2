import { Buffer } from "node:buffer";
import koffi from "koffi";
import { readFileSync } from "node:fs";
import { IntegrityError, messageOf } from "../../core/error.ts";
import { checked, declare, errno, errnoName } from "../libc.ts";

/*
 * bpf(2): maps and programs. `union bpf_attr` is written by offset, see include/uapi/linux/bpf.h.
 */

const bpfCall = process.arch === "arm64" ? 280 : 321;
const attrSize = 128;

const MAP_CREATE = 0;
const MAP_LOOKUP_ELEM = 1;
const MAP_UPDATE_ELEM = 2;
const PROG_LOAD = 5;
const BPF_NOEXIST = 1n;

const mapTypes = { perCpuArray: 6, lruHash: 9 } as const;
const PROG_TYPE_TRACEPOINT = 5;

/** The string helpers are for programs whose licence is compatible with the GPL. */
const licence = Buffer.from("Dual MIT/GPL\0");

const logSize = 64 * 1024;

type BpfCall = (...args: [number: number, command: number, attr: Buffer, size: number]) => number;
let bpfFunction: BpfCall | undefined;

interface MapShape {
  /** A hash table that evicts the least recently used entries, or an array with a copy for each processor. */
  readonly type: keyof typeof mapTypes;
  /** At most fifteen letters, digits and underscores. */
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
}

/** Returns the map's descriptor (close-on-exec). */
export function createMap(shape: MapShape): number {
  const attr = Buffer.alloc(attrSize);
  attr.writeUInt32LE(mapTypes[shape.type], 0);
  attr.writeUInt32LE(shape.keySize, 4);
  attr.writeUInt32LE(shape.valueSize, 8);
  attr.writeUInt32LE(shape.maxEntries, 12);
  attr.write(shape.name.slice(0, 15), 28, "latin1");
  try {
    return checked(bpf(MAP_CREATE, attr), "bpf MAP_CREATE", "");
  } catch (cause) {
    throw new IntegrityError("SYSCALL", `${messageOf(cause)} (${lockedMemory()})`, { cause });
  }
}

/** Before Linux 5.11 EPERM also means that the map is larger than this limit allows. */
function lockedMemory(): string {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const [, soft = "unknown"] = /^Max locked memory\s+(\S+)/m.exec(limits) ?? [];
  return `RLIMIT_MEMLOCK is ${soft}; before Linux 5.11 maps count against it`;
}

/** Loads a tracepoint program. When the kernel's verifier refuses it, the error carries the end of its log. */
export function loadProgram(name: string, instructions: Buffer): number {
  const fd = tryLoad(name, instructions, undefined);
  if (fd >= 0) return fd;
  const number = errno();
  const log = Buffer.alloc(logSize);
  const second = tryLoad(name, instructions, log);
  if (second >= 0) return second;
  const end = log.indexOf(0);
  const text = log.toString("utf8", 0, end < 0 ? logSize : end).trim();
  throw new IntegrityError("SYSCALL", `bpf PROG_LOAD ${name}: ${errnoName(number)}`, {
    cause: new Error(text.slice(-2000) || "the verifier said nothing"),
  });
}

/** Copies the key's value into `value`. False: no such key. */
export function lookup(mapFd: number, key: Buffer, value: Buffer): boolean {
  return bpf(MAP_LOOKUP_ELEM, elementAttr(mapFd, key, value)) === 0;
}

export function update(mapFd: number, key: Buffer, value: Buffer): void {
  checked(bpf(MAP_UPDATE_ELEM, elementAttr(mapFd, key, value)), "bpf MAP_UPDATE_ELEM", "");
}

/** False: the key exists, or the map is full. */
export function insert(mapFd: number, key: Buffer, value: Buffer): boolean {
  const attr = elementAttr(mapFd, key, value);
  attr.writeBigUInt64LE(BPF_NOEXIST, 24);
  return bpf(MAP_UPDATE_ELEM, attr) === 0;
}

const elementBuffer = Buffer.alloc(attrSize);

function elementAttr(mapFd: number, key: Buffer, value: Buffer): Buffer {
  elementBuffer.writeUInt32LE(mapFd, 0);
  writePointer(elementBuffer, 8, key);
  writePointer(elementBuffer, 16, value);
  elementBuffer.writeBigUInt64LE(0n, 24);
  return elementBuffer;
}

function tryLoad(name: string, instructions: Buffer, log: Buffer | undefined): number {
  const attr = Buffer.alloc(attrSize);
  attr.writeUInt32LE(PROG_TYPE_TRACEPOINT, 0);
  attr.writeUInt32LE(instructions.length / 8, 4);
  writePointer(attr, 8, instructions);
  writePointer(attr, 16, licence);
  if (log) {
    attr.writeUInt32LE(1, 24);
    attr.writeUInt32LE(log.length, 28);
    writePointer(attr, 32, log);
  }
  attr.write(name.slice(0, 15), 48, "latin1");
  return bpf(PROG_LOAD, attr);
}

function writePointer(attr: Buffer, offset: number, to: Buffer): void {
  attr.writeBigUInt64LE(koffi.address(to), offset);
}

function bpf(command: number, attr: Buffer): number {
  bpfFunction ??= declare<BpfCall>("long syscall(long, long, void *, long)");
  return bpfFunction(bpfCall, command, attr, attr.length);
}
