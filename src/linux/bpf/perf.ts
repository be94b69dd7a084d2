import { Buffer } from "node:buffer";
import { readFileSync, statSync } from "node:fs";
import { IntegrityError } from "../../core/error.ts";
import { close } from "../files.ts";
import { checked, declare } from "../libc.ts";

/*
 * Tracepoints: their numbers and fields from tracefs, and perf_event_open(2) to run a BPF program on one.
 */

const isArm = process.arch === "arm64";
const perfEventOpenCall = isArm ? 241 : 298;
/** The same numbers on every architecture (Linux 5.2). */
const fsopenCall = 430;
const fsconfigCall = 431;
const fsmountCall = 432;

const FSOPEN_CLOEXEC = 1;
const FSCONFIG_CMD_CREATE = 6;
const FSMOUNT_CLOEXEC = 1;

const PERF_TYPE_TRACEPOINT = 2;
const PERF_FLAG_FD_CLOEXEC = 8;
/** struct perf_event_attr up to and with aux_watermark (PERF_ATTR_SIZE_VER5). */
const perfAttrSize = 112;
const PERF_EVENT_IOC_SET_BPF = 0x40042408;
const PERF_EVENT_IOC_ENABLE = 0x2400;

const usualMounts = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/** One field of a tracepoint's record: its offset. */
interface TracepointField {
  readonly offset: number;
  readonly size: number;
  /** Four bytes that locate the text: its offset in the low half, its length in the high half. */
  readonly isDataLocation: boolean;
}

export interface Tracepoint {
  readonly id: number;
  readonly fields: ReadonlyMap<string, TracepointField>;
}

/** A tracefs to read from; `using` closes it. */
export interface Tracefs extends Disposable {
  readonly path: string;
}

/** The mounted tracefs, else a private one that is attached nowhere. */
export function openTracefs(): Tracefs {
  const path = usualMounts.find((dir) => isThere(`${dir}/events`));
  if (path !== undefined) return { path, [Symbol.dispose]() {} };
  const fd = mountDetached("tracefs");
  return {
    path: `/proc/self/fd/${fd}`,
    [Symbol.dispose]: () => close(fd),
  };
}

/** "sched", "sched_process_exec" -> its number and fields. Throws UNSUPPORTED when the kernel lacks it. */
export function readTracepoint(tracefs: Tracefs, group: string, name: string): Tracepoint {
  const found = findTracepoint(tracefs, group, name);
  if (found) return found;
  throw new IntegrityError("UNSUPPORTED", `tracepoint ${group}/${name}: not found`);
}

/** Undefined: this kernel lacks it. */
export function findTracepoint(
  tracefs: Tracefs,
  group: string,
  name: string,
): Tracepoint | undefined {
  const dir = `${tracefs.path}/events/${group}/${name}`;
  if (!isThere(`${dir}/id`)) return undefined;
  return {
    id: Number(readFileSync(`${dir}/id`, "utf8")),
    fields: parseFormat(readFileSync(`${dir}/format`, "utf8")),
  };
}

/** Node's existsSync asks access(2), which ignores the capabilities of a user other than root. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

const fieldPattern =
  /^\s*field:(?<type>.*?)(?<name>\w+)(?:\[\w*\])?;\s*offset:(?<offset>\d+);\s*size:(?<size>\d+);/gm;

/** The text of a tracepoint's `format` file -> its fields (Documentation/trace/events.rst). */
export function parseFormat(text: string): ReadonlyMap<string, TracepointField> {
  const fields = new Map<string, TracepointField>();
  for (const { groups } of text.matchAll(fieldPattern))
    if (groups)
      fields.set(groups["name"] ?? "", {
        offset: Number(groups["offset"]),
        size: Number(groups["size"]),
        isDataLocation: groups["type"]?.includes("__data_loc") ?? false,
      });
  return fields;
}

/**
 * Runs the program at the tracepoint until the returned descriptor is closed. An event on the first processor is
 * enough: the program runs on every one.
 */
export function attach(tracepoint: Tracepoint, programFd: number): number {
  const attr = Buffer.alloc(perfAttrSize);
  attr.writeUInt32LE(PERF_TYPE_TRACEPOINT, 0);
  attr.writeUInt32LE(perfAttrSize, 4);
  attr.writeBigUInt64LE(BigInt(tracepoint.id), 8);
  attr.writeBigUInt64LE(1n, 16);
  const open = declare<(...numbers: (number | Buffer)[]) => number>(
    "long syscall(long, void *, int, int, int, unsigned long)",
  );
  const fd = checked(
    open(perfEventOpenCall, attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC),
    "perf_event_open",
    "",
  );
  try {
    const ioctl = declare<(fd: number, request: number, value: number) => number>(
      "int ioctl(int, unsigned long, long)",
    );
    checked(ioctl(fd, PERF_EVENT_IOC_SET_BPF, programFd), "ioctl PERF_EVENT_IOC_SET_BPF", "");
    checked(ioctl(fd, PERF_EVENT_IOC_ENABLE, 0), "ioctl PERF_EVENT_IOC_ENABLE", "");
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** fsopen(2), fsconfig(2), fsmount(2): a mount without a directory. Needs CAP_SYS_ADMIN. */
function mountDetached(type: string): number {
  const call = declare<(...numbers: (number | Buffer | null)[]) => number>(
    "long syscall(long, long, long, void *, void *, long)",
  );
  const fsopen = declare<(n: number, type: Buffer, flags: number) => number>(
    "long syscall(long, void *, long)",
  );
  const context = checked(
    fsopen(fsopenCall, Buffer.from(`${type}\0`), FSOPEN_CLOEXEC),
    "fsopen",
    type,
  );
  try {
    checked(call(fsconfigCall, context, FSCONFIG_CMD_CREATE, null, null, 0), "fsconfig", type);
    return checked(call(fsmountCall, context, FSMOUNT_CLOEXEC, null, null, 0), "fsmount", type);
  } finally {
    close(context);
  }
}
