import { Buffer } from "node:buffer";
import { readdirSync } from "node:fs";
import { createMap, insert, loadProgram, lookup } from "../linux/bpf/bpf.ts";
import { readBtf } from "../linux/bpf/btf.ts";
import type { Btf } from "../linux/bpf/btf.ts";
import { close } from "../linux/files.ts";
import { attach, findTracepoint, openTracefs, readTracepoint } from "../linux/bpf/perf.ts";
import type { Tracefs, Tracepoint } from "../linux/bpf/perf.ts";
import { IntegrityError } from "../core/error.ts";
import { creationMap, creationPoint, creationProgram } from "./creations.ts";
import { fromKernelDevice, toKernelDevice } from "./device.ts";
import {
  argumentKeySize,
  argumentLayout,
  argumentsSize,
  execProgram,
  forkProgram,
  layout,
  valueSize,
} from "./exec-programs.ts";
import type { ArgumentMaps } from "./exec-programs.ts";
import { pathsIn } from "./kernel-paths.ts";
import { touchEntries, touchPoints, touchProgram, touchShape } from "./touches.ts";
import type { TouchMaps } from "./touches.ts";
import type { KernelPaths } from "./kernel-paths.ts";
import { readProcess } from "./process.ts";
import type { LiveProcess } from "./process.ts";

/** The kernel's note of a process's fork or last execution. It outlives the process. */
export interface ExecRecord {
  /** Nanoseconds since boot; differs for each execution. */
  readonly notedAt: bigint;
  /** The name as executed: may be relative, or a script. Absent: unknown. At most 175 bytes. */
  readonly filename?: string;
  /**
   * The executed file; for a script, its interpreter. The device is the filesystem's own, which stat(2) does not show
   * on btrfs.
   */
  readonly executable?: { readonly dev: string; readonly ino: string };
  readonly comm: string;
  /** The real user id. */
  readonly uid: number;
  /** The inode number of the cgroup v2 directory. */
  readonly cgroupId: bigint;
  /** The same in the hierarchy of the memory controller, if it has one of its own (version 1). */
  readonly controllerId?: bigint;
  /** 0: unknown. */
  readonly parent: number;
  readonly parentComm: string;
  /** Nanoseconds since boot of the fork; 0n: before the history began. */
  readonly forkedAt: bigint;
}

/** The descriptors of the history's maps, for `readHistory` and `readArguments`. */
export interface HistoryMaps {
  readonly records: number;
  readonly arguments: number;
  /** Records of the programs that processes ran before, the latest first. */
  readonly former: readonly number[];
  /** Which program changed which inode. Absent: no tracepoint for it. */
  readonly touches?: TouchMaps;
  /** The makers of inodes. Absent: no filesystem of this kernel has the tracepoint. */
  readonly creations?: number;
}

/** Processes in the history: about 5 MB in the kernel. Threads take a place too. */
const capacity = 16_384;
/** Former programs in the history: they matter only within moments. */
const formerCapacity = 4096;
const formerPrograms = 2;
/** Command lines in the history, 2 MB: /proc has those of living processes. */
const argumentCapacity = 2048;

/**
 * BPF programs at sched_process_fork and sched_process_exec note processes in LRU maps: even an exited process is
 * named. Nothing runs in user space until a lookup. System calls are not traced, because that would slow all of them.
 */
export class ExecHistory implements Disposable {
  readonly maps: HistoryMaps;
  /** Why the records lack the executed file. Undefined: they have it. */
  readonly unidentified: string | undefined;
  readonly #descriptors: readonly number[];

  private constructor(opened: Opened, descriptors: readonly number[]) {
    this.maps = opened.maps;
    this.unidentified = opened.unidentified;
    this.#descriptors = descriptors;
  }

  /** Throws UNSUPPORTED with the reason: no BPF, no permission, no tracefs. */
  static open(btf: () => Btf | undefined = readBtf, proc: string = "/proc"): ExecHistory {
    const descriptors: number[] = [];
    try {
      using tracefs = openTracefs();
      const { maps: history, unidentified } = openRecords(tracefs, pathsOf(btf()), descriptors);
      noteLiving(history.records, proc);
      const creations = openCreations(tracefs, descriptors);
      const touches = openTouches(tracefs, history.records, descriptors);
      const maps = {
        ...history,
        ...(creations === undefined ? {} : { creations }),
        ...(touches === undefined ? {} : { touches }),
      };
      return new ExecHistory({ maps, unidentified }, descriptors);
    } catch (cause) {
      closeAll(descriptors);
      throw new IntegrityError("UNSUPPORTED", `exec history: ${reasonOf(cause)}`, {
        hint: "it needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN), tracefs, and no lockdown in confidentiality mode",
        cause,
      });
    }
  }

  [Symbol.dispose](): void {
    closeAll(this.#descriptors);
  }
}

function pathsOf(btf: Btf | undefined): KernelPaths {
  return btf ? pathsIn(btf) : {};
}

interface Opened {
  readonly maps: HistoryMaps;
  readonly unidentified: string | undefined;
}

const key = Buffer.alloc(4);
const argumentKey = Buffer.alloc(argumentKeySize);
const value = Buffer.alloc(valueSize);
const argumentBytes = Buffer.alloc(argumentsSize);

/** One system call. Undefined: older than the history, or evicted. */
export function readHistory(
  maps: Pick<HistoryMaps, "records">,
  pid: number,
): ExecRecord | undefined {
  key.writeUInt32LE(pid >>> 0);
  return lookup(maps.records, key, value) ? parseRecord(value) : undefined;
}

const mostReadings = 5;

/**
 * The programs of a process, the present one first, in one consistent reading: read again if the process executed
 * another meanwhile. Records of an earlier process with this pid are left out.
 */
export function readImages(maps: HistoryMaps, pid: number): readonly ExecRecord[] {
  for (let reading = 1; ; reading += 1) {
    const present = readHistory(maps, pid);
    if (!present) return [];
    const former = maps.former.flatMap((records) => readHistory({ records }, pid) ?? []);
    const again = readHistory(maps, pid);
    if (again?.notedAt === present.notedAt || reading === mostReadings)
      return [present, ...former.filter((one) => isSameProcess(one, present))];
  }
}

function isSameProcess(former: ExecRecord, present: ExecRecord): boolean {
  return former.forkedAt === present.forkedAt && former.notedAt < present.notedAt;
}

/** The arguments of the record's process. Undefined: unknown. */
export function readArguments(
  maps: HistoryMaps,
  pid: number,
  record: ExecRecord,
): readonly string[] | undefined {
  argumentKey.writeUInt32LE(pid >>> 0);
  argumentKey.writeBigUInt64LE(record.notedAt, 8);
  if (!lookup(maps.arguments, argumentKey, argumentBytes)) return undefined;
  const notedAt = argumentBytes.readBigUInt64LE(argumentLayout.notedAt);
  return notedAt === record.notedAt ? parseArguments(argumentBytes) : undefined;
}

/** Their first 1,008 bytes. */
export function parseArguments(bytes: Buffer): readonly string[] {
  const end = Math.min(bytes.readUInt32LE(argumentLayout.end), bytes.length);
  const text = bytes.toString("utf8", argumentLayout.text, end);
  return text === "" ? [] : text.replace(/\0$/, "").split("\0");
}

/** A kernel without BTF still gives the names. */
function openRecords(tracefs: Tracefs, paths: KernelPaths, descriptors: number[]): Opened {
  const exec = readTracepoint(tracefs, "sched", "sched_process_exec");
  const fork = readTracepoint(tracefs, "sched", "sched_process_fork");
  const shape = { keySize: 4, valueSize, maxEntries: capacity };
  const mapFd = keep(descriptors, createMap({ type: "lruHash", name: "fim_exec", ...shape }));
  const formerFds = Array.from({ length: formerPrograms }, (_, index) =>
    keep(
      descriptors,
      createMap({
        type: "lruHash",
        name: `fim_exec_${index + 1}`,
        ...shape,
        maxEntries: formerCapacity,
      }),
    ),
  );
  const argumentMaps = openArguments(descriptors);
  const load = (allowed: KernelPaths): void => {
    const forks = forkProgram({ mapFd, fieldOffset: fieldOf(fork, "child_pid"), paths: allowed });
    const target = { mapFd, formerFds, fieldOffset: fieldOf(exec, "filename"), paths: allowed };
    const execs = execProgram(target, argumentMaps);
    const forksFd = keep(descriptors, loadProgram("fim_exec_history", forks));
    const execsFd = keep(descriptors, loadProgram("fim_exec_history", execs));
    keep(descriptors, attach(fork, forksFd));
    keep(descriptors, attach(exec, execsFd));
  };
  const maps = { records: mapFd, former: formerFds, arguments: argumentMaps.argumentsFd };
  try {
    load(paths);
  } catch (error) {
    if (Object.keys(paths).length === 0) throw error;
    load({});
    return { maps, unidentified: reasonOf(error) };
  }
  return { maps, unidentified: paths.executable ? undefined : noBtf };
}

/**
 * Adds processes older than the history: a child that never executes anything has its parent's program. Newer notes
 * of the kernel stay.
 */
function noteLiving(records: number, proc: string): void {
  for (const name of readdirSync(proc)) {
    const live = /^\d+$/.test(name) ? readProcess(proc, Number(name)) : undefined;
    if (live?.exe === undefined || !live.executable) continue;
    key.writeUInt32LE(live.pid);
    insert(records, key, recordOf(live));
  }
}

function recordOf({ comm, exe = "", executable, uid = 0, parent }: LiveProcess): Buffer {
  const bytes = Buffer.alloc(valueSize);
  bytes.writeBigUInt64LE(process.hrtime.bigint(), layout.notedAt.offset);
  bytes.write(comm, layout.comm.offset, layout.comm.size - 1);
  bytes.write(exe, layout.filename.offset, layout.filename.size - 1);
  bytes.writeUInt32LE(uid, layout.uid.offset);
  bytes.writeUInt32LE(parent, layout.parent.offset);
  bytes.writeBigUInt64LE(BigInt(executable?.ino ?? 0), layout.ino.offset);
  bytes.writeUInt32LE(toKernelDevice(executable?.dev ?? ""), layout.dev.offset);
  return bytes;
}

const noBtf = "the kernel does not describe its structures (BTF)";

/** The failure, and the last line of the kernel's verifier. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const log = error.cause instanceof Error ? error.cause.message.split("\n") : [];
  return [error.message, ...log.slice(-2)].join(": ");
}

function openArguments(descriptors: number[]): ArgumentMaps {
  const shape = { valueSize: argumentsSize };
  const [table, scratch] = [
    { type: "lruHash", name: "fim_args", keySize: argumentKeySize, maxEntries: argumentCapacity },
    { type: "perCpuArray", name: "fim_scratch", keySize: 4, maxEntries: 1 },
  ] as const;
  return {
    argumentsFd: keep(descriptors, createMap({ ...table, ...shape })),
    scratchFd: keep(descriptors, createMap({ ...scratch, ...shape })),
  };
}

function openCreations(tracefs: Tracefs, descriptors: number[]): number | undefined {
  const point = findTracepoint(tracefs, ...creationPoint);
  if (!point) return undefined;
  const mapFd = keep(descriptors, createMap({ type: "lruHash", name: "fim_made", ...creationMap }));
  const program = creationProgram(mapFd, point);
  if (!program) return undefined;
  keep(descriptors, attach(point, keep(descriptors, loadProgram("fim_creations", program))));
  return mapFd;
}

function openTouches(
  tracefs: Tracefs,
  recordsFd: number,
  descriptors: number[],
): TouchMaps | undefined {
  const points = touchPoints
    .map(([group, name]) => findTracepoint(tracefs, group, name))
    .filter((point) => point !== undefined);
  if (points.length === 0) return undefined;
  const open = (name: string, maxEntries: number): number =>
    keep(descriptors, createMap({ type: "lruHash", name, ...touchShape, maxEntries }));
  const touches = {
    young: open("fim_touched", touchEntries.young),
    old: open("fim_touched_old", touchEntries.old),
  };
  for (const point of points) {
    const program = touchProgram(point, { touches, recordsFd });
    if (!program) continue;
    keep(descriptors, attach(point, keep(descriptors, loadProgram("fim_touches", program))));
  }
  return touches;
}

function keep(descriptors: number[], fd: number): number {
  descriptors.push(fd);
  return fd;
}

/** Detaches programs before it closes their maps. */
function closeAll(descriptors: readonly number[]): void {
  for (const fd of descriptors.toReversed()) close(fd);
}

/** The map's value as the programs lay it out. */
export function parseRecord(bytes: Buffer): ExecRecord {
  const filename = textAt(bytes, layout.filename);
  const executable = parseExecutable(bytes);
  const controllerId = bytes.readBigUInt64LE(layout.controller.offset);
  return {
    ...(filename === "" ? {} : { filename }),
    ...(executable ? { executable } : {}),
    notedAt: bytes.readBigUInt64LE(layout.notedAt.offset),
    comm: textAt(bytes, layout.comm),
    uid: bytes.readUInt32LE(layout.uid.offset),
    cgroupId: bytes.readBigUInt64LE(layout.cgroup.offset),
    ...(controllerId === 0n ? {} : { controllerId }),
    parent: bytes.readUInt32LE(layout.parent.offset),
    parentComm: textAt(bytes, layout.parentComm),
    forkedAt: bytes.readBigUInt64LE(layout.forkedAt.offset),
  };
}

function parseExecutable(bytes: Buffer): ExecRecord["executable"] {
  const ino = bytes.readBigUInt64LE(layout.ino.offset);
  const dev = bytes.readUInt32LE(layout.dev.offset);
  if (ino === 0n || dev === 0) return undefined;
  return { dev: fromKernelDevice(dev), ino: String(ino) };
}

function textAt(bytes: Buffer, { offset, size }: { offset: number; size: number }): string {
  const all = bytes.subarray(offset, offset + size);
  const end = all.indexOf(0);
  return all.toString("utf8", 0, end < 0 ? size : end);
}

function fieldOf(tracepoint: Tracepoint, name: string): number {
  const field = tracepoint.fields.get(name);
  if (!field) throw new IntegrityError("UNSUPPORTED", `tracepoint field ${name}: not found`);
  return field.offset;
}
