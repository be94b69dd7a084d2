import type { Buffer } from "node:buffer";
import {
  add,
  and,
  assemble,
  at,
  call,
  exit,
  jump,
  jumpIfAbove,
  jumpIfNegative,
  jumpIfZero,
  label,
  ldx,
  loadMap,
  mov,
  shiftRight,
  stx,
  sub,
} from "../linux/bpf/assembler.ts";
import type { Line, Place } from "../linux/bpf/assembler.ts";
import type { KernelPath, KernelPaths } from "./kernel-paths.ts";

/** The record of one process: offsets and sizes in bytes, native byte order (little-endian on x64 and arm64). */
export const layout = {
  notedAt: { offset: 0, size: 8 },
  cgroup: { offset: 8, size: 8 },
  uid: { offset: 16, size: 4 },
  parent: { offset: 20, size: 4 },
  comm: { offset: 24, size: 16 },
  filename: { offset: 40, size: 176 },
  parentComm: { offset: 216, size: 16 },
  forkedAt: { offset: 232, size: 8 },
  ino: { offset: 240, size: 8 },
  /** dev_t: four bytes, and four zeros. */
  dev: { offset: 248, size: 8 },
  controller: { offset: 256, size: 8 },
} as const;

export const valueSize = 264;

/** The key of a record's arguments: the process id with four zeros, and the record's time. */
export const argumentKeySize = 16;

/** The arguments of a record's process: the record's time, where the text ends, and the text, a NUL after each argument. */
export const argumentLayout = { notedAt: 0, end: 8, text: 16 } as const;

export const argumentsSize = 1024;
const mostText = argumentsSize - argumentLayout.text;

/** Both programs keep the new record and two keys at the end of their stack. */
const recordAt = -valueSize;
const ownKeyAt = recordAt - 8;
const childKeyAt = recordAt - 16;
const pointerAt = recordAt - 24;
const argumentKeyAt = recordAt - 40;

/** What the programs are made for: the records' map, where the event's field is, and how to look at a task. */
interface Target {
  readonly mapFd: number;
  /** Records of the programs that the process ran before, the latest first. */
  readonly formerFds: readonly number[];
  readonly fieldOffset: number;
  readonly paths: KernelPaths;
}

/** The scratch map has one record for each processor, because a record is larger than a program's stack. */
export interface ArgumentMaps {
  readonly argumentsFd: number;
  readonly scratchFd: number;
}

/**
 * sched_process_exec: a new record for this process, with the parent that its fork noted. Then its arguments, as the
 * kernel has just laid them out in its memory.
 */
export function execProgram(
  { mapFd, formerFds, fieldOffset, paths }: Target,
  argumentMaps: ArgumentMaps,
): Buffer {
  return assemble([
    mov("r6", "r1"),
    ...clearRecord(),
    ...ownKey(),
    ...keepFormer([mapFd, ...formerFds]),
    ...find(mapFd, ownKeyAt),
    jumpIfZero("r0", "describe"),
    ldx("w", "r1", at("r0", layout.parent.offset)),
    stx("w", field("parent"), "r1"),
    ...copy(layout.parentComm),
    ...copy(layout.forkedAt),
    label("describe"),
    ...describeCurrent(),
    // The field holds the offset of the text from the record's beginning, in its low half.
    ldx("w", "r3", at("r6", fieldOffset)),
    and("r3", 0xffff),
    add("r3", "r6"),
    mov("r1", "r10"),
    add("r1", recordAt + layout.filename.offset),
    mov("r2", layout.filename.size),
    call("probe_read_kernel_str"),
    ...readTask(paths),
    ...store(mapFd, ownKeyAt),
    ...(paths.arguments ? noteArguments(paths.arguments, argumentMaps) : []),
    ...end,
  ]);
}

/**
 * sched_process_fork runs in the parent: the child copies the parent's record until it executes something. The record
 * counts, because a process can change what its memory shows (prctl(2)).
 */
export function forkProgram({ mapFd, fieldOffset, paths }: Omit<Target, "formerFds">): Buffer {
  return assemble([
    mov("r6", "r1"),
    ldx("w", "r7", at("r6", fieldOffset)),
    stx("w", at("r10", childKeyAt), "r7"),
    ...clearRecord(),
    ...ownKey(),
    ...find(mapFd, ownKeyAt),
    jumpIfZero("r0", "describe"),
    ...copy(layout.filename),
    ...copy(layout.ino),
    ...copy(layout.dev),
    label("describe"),
    ...describeCurrent(),
    ...readTask(withoutExecutable(paths)),
    ldx("w", "r1", at("r10", ownKeyAt)),
    stx("w", field("parent"), "r1"),
    ldx("dw", "r1", field("comm")),
    stx("dw", field("parentComm"), "r1"),
    ldx("dw", "r1", field("comm", 8)),
    stx("dw", field("parentComm", 8), "r1"),
    ldx("dw", "r1", field("notedAt")),
    stx("dw", field("forkedAt"), "r1"),
    ...store(mapFd, childKeyAt),
    ...end,
  ]);
}

/** r7 is the scratch record, r8 where the arguments end and then their size, r9 where they begin. */
function noteArguments(
  paths: NonNullable<KernelPaths["arguments"]>,
  { argumentsFd, scratchFd }: ArgumentMaps,
): Line[] {
  const pointer = at("r10", pointerAt);
  return [
    mov("r1", 0),
    stx("w", at("r10", childKeyAt), "r1"),
    ...find(scratchFd, childKeyAt),
    jumpIfZero("r0", "nothing"),
    mov("r7", "r0"),
    ...followPath(paths.start, { to: pointer, size: 8, end: "nothing" }),
    ldx("dw", "r9", pointer),
    ...followPath(paths.end, { to: pointer, size: 8, end: "nothing" }),
    ldx("dw", "r8", pointer),
    sub("r8", "r9"),
    jumpIfAbove("r8", mostText, "cut"),
    jump("copy"),
    label("cut"),
    mov("r8", mostText),
    label("copy"),
    mov("r1", "r7"),
    add("r1", argumentLayout.text),
    mov("r2", "r8"),
    mov("r3", "r9"),
    call("probe_read_user"),
    jumpIfNegative("r0", "nothing"),
    add("r8", argumentLayout.text),
    stx("dw", at("r7", argumentLayout.end), "r8"),
    ldx("dw", "r1", field("notedAt")),
    stx("dw", at("r7", argumentLayout.notedAt), "r1"),
    stx("dw", at("r10", argumentKeyAt + 8), "r1"),
    mov("r1", 0),
    stx("dw", at("r10", argumentKeyAt), "r1"),
    ldx("w", "r1", at("r10", ownKeyAt)),
    stx("w", at("r10", argumentKeyAt), "r1"),
    loadMap("r1", argumentsFd),
    mov("r2", "r10"),
    add("r2", argumentKeyAt),
    mov("r3", "r7"),
    mov("r4", 0),
    call("map_update_elem"),
    label("nothing"),
  ];
}

/** Moves this process's records one map on, the oldest first, before a new record replaces the present one. */
function keepFormer(fds: readonly number[]): Line[] {
  return fds
    .slice(1)
    .map((to, index) => ({ to, from: fds[index] ?? to, end: `record ${index} is kept` }))
    .toReversed()
    .flatMap(({ to, from, end: kept }) => [
      ...find(from, ownKeyAt),
      jumpIfZero("r0", kept),
      mov("r3", "r0"),
      loadMap("r1", to),
      mov("r2", "r10"),
      add("r2", ownKeyAt),
      mov("r4", 0),
      call("map_update_elem"),
      label(kept),
    ]);
}

/** Reads from the current task, as far as this kernel's structures are known. Unreadable fields stay zero. */
function readTask({ executable, controller }: KernelPaths): Line[] {
  return [
    ...(executable ? readPath(executable.ino, "ino", 8) : []),
    ...(executable ? readPath(executable.dev, "dev", 4) : []),
    ...(controller ? readPath(controller, "controller", 8) : []),
  ];
}

function withoutExecutable({ controller }: KernelPaths): KernelPaths {
  return controller ? { controller } : {};
}

function readPath(path: KernelPath, into: keyof typeof layout, size: number): Line[] {
  const end = `${into} is read`;
  return [...followPath(path, { to: field(into), size, end }), label(end)];
}

/** From the current task, pointer by pointer, to what is copied. */
function followPath(path: KernelPath, last: Omit<Reading, "offset">): Line[] {
  const pointer = at("r10", pointerAt);
  const pointers = path
    .slice(0, -1)
    .flatMap((offset) => [
      ...read({ offset, size: 8, to: pointer, end: last.end }),
      ldx("dw", "r0", pointer),
      jumpIfZero("r0", last.end),
    ]);
  const [offset = 0] = path.slice(-1);
  return [call("get_current_task"), ...pointers, ...read({ offset, ...last })];
}

interface Reading {
  readonly offset: number;
  readonly size: number;
  readonly to: Place;
  /** Where to jump when it cannot be read. */
  readonly end: string;
}

/** Copies from an offset behind r0. */
function read({ offset, size, to, end }: Reading): Line[] {
  return [
    mov("r1", to.base),
    add("r1", to.offset),
    mov("r2", size),
    mov("r3", "r0"),
    add("r3", offset),
    call("probe_read_kernel"),
    jumpIfNegative("r0", end),
  ];
}

function field(name: keyof typeof layout, extra: number = 0): Place {
  return at("r10", recordAt + layout[name].offset + extra);
}

function clearRecord(): Line[] {
  const words = Array.from({ length: valueSize / 8 }, (_, index) => index);
  return [mov("r1", 0), ...words.map((word) => stx("dw", at("r10", recordAt + 8 * word), "r1"))];
}

/** The process id is the upper half of what the kernel calls pid and tgid. */
function ownKey(): Line[] {
  return [call("get_current_pid_tgid"), shiftRight("r0", 32), stx("w", at("r10", ownKeyAt), "r0")];
}

function find(mapFd: number, keyAt: number): Line[] {
  return [loadMap("r1", mapFd), mov("r2", "r10"), add("r2", keyAt), call("map_lookup_elem")];
}

function store(mapFd: number, keyAt: number): Line[] {
  return [
    loadMap("r1", mapFd),
    mov("r2", "r10"),
    add("r2", keyAt),
    mov("r3", "r10"),
    add("r3", recordAt),
    mov("r4", 0),
    call("map_update_elem"),
  ];
}

const end: readonly Line[] = [mov("r0", 0), exit()];

/** From the record that r0 points to into the one on the stack, eight bytes at a time. */
function copy({ offset, size }: { readonly offset: number; readonly size: number }): Line[] {
  return Array.from({ length: size / 8 }, (_, index) => offset + 8 * index).flatMap((byte) => [
    ldx("dw", "r1", at("r0", byte)),
    stx("dw", at("r10", recordAt + byte), "r1"),
  ]);
}

function describeCurrent(): Line[] {
  return [
    call("ktime_get_ns"),
    stx("dw", field("notedAt"), "r0"),
    call("get_current_cgroup_id"),
    stx("dw", field("cgroup"), "r0"),
    call("get_current_uid_gid"),
    stx("w", field("uid"), "r0"),
    mov("r1", "r10"),
    add("r1", recordAt + layout.comm.offset),
    mov("r2", layout.comm.size),
    call("get_current_comm"),
  ];
}
