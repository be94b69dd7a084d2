import { Buffer } from "node:buffer";
import { constants } from "node:fs";
import { close, lookFlags, openPlain, readAt, readLink } from "../linux/files.ts";
import { Stat } from "../linux/statx.ts";

/** A living process, from /proc. */
export interface LiveProcess {
  readonly pid: number;
  readonly comm: string;
  /** Absent: a kernel thread, or a process that is exiting. */
  readonly exe?: string;
  /** The executable's identity: device and inode as in an observation. */
  readonly executable?: { readonly dev: string; readonly ino: string };
  readonly cmdline: readonly string[];
  /** The effective user id. */
  readonly uid?: number;
  readonly loginUid?: number;
  readonly parent: number;
  /** Clock ticks since boot (proc_pid_stat(5), field 22): with the pid it identifies a process. */
  readonly startedAt: number;
  /** The text of its cgroup file. For an exiting process, version 1 shows no group. */
  readonly cgroups: string;
  readonly isExiting: boolean;
}

/** Part of /proc/PID/stat. */
export interface ProcessStat {
  readonly comm: string;
  readonly parent: number;
  readonly startedAt: number;
  readonly isExiting: boolean;
}

/** PF_EXITING (include/linux/sched.h), in the flags of /proc/PID/stat. */
const exitingFlag = 4;

/** Longer command lines are cut. */
const mostArguments = 64;
const longestArgument = 1024;
/** loginuid of a process that belongs to no login (-1). */
const noLogin = 0xffff_ffff;

const fileBytes = Buffer.allocUnsafeSlow(8192);
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | 0x80000;

/** Undefined: the process is gone. A process that dies meanwhile is described as far as it was read. */
export function readProcess(proc: string, pid: number): LiveProcess | undefined {
  const dir = `${proc}/${pid}`;
  const exe = readExe(dir);
  const executable = identifyExe(dir);
  const cmdline = parseCmdline(readBytes(`${dir}/cmdline`));
  const cgroups = readText(`${dir}/cgroup`);
  // Read after what an exiting process loses.
  const stat = readStat(proc, pid);
  if (!stat) return undefined;
  const uid = parseUid(readText(`${dir}/status`));
  const loginUid = readLoginUid(proc, pid);
  return {
    pid,
    comm: stat.comm,
    ...(exe === undefined ? {} : { exe }),
    ...(executable === undefined ? {} : { executable }),
    cmdline,
    ...(uid === undefined ? {} : { uid }),
    ...(loginUid === undefined ? {} : { loginUid }),
    parent: stat.parent,
    startedAt: stat.startedAt,
    cgroups,
    isExiting: stat.isExiting,
  };
}

/** Reads one file only: enough to follow parents and to check that a pid is still the same process. */
export function readStat(proc: string, pid: number): ProcessStat | undefined {
  return parseStat(readText(`${proc}/${pid}/stat`));
}

/** Its executable's identity. Undefined: gone, exiting, or a kernel thread. */
export function readExecutable(proc: string, pid: number): LiveProcess["executable"] {
  return identifyExe(`${proc}/${pid}`);
}

/** Undefined: gone, or it belongs to no login. */
export function readLoginUid(proc: string, pid: number): number | undefined {
  const text = readText(`${proc}/${pid}/loginuid`).trim();
  const uid = Number(text);
  return text === "" || !Number.isSafeInteger(uid) || uid === noLogin ? undefined : uid;
}

/** "12 (a) b) S 1 …": the name is in parentheses and can hold some itself. */
export function parseStat(text: string): ProcessStat | undefined {
  const open = text.indexOf("(");
  const shut = text.lastIndexOf(")");
  if (open < 0 || shut < open) return undefined;
  // Field 3, the state, comes first here.
  const fields = text.slice(shut + 2).split(" ");
  const parent = Number(fields[1]);
  const isExiting = (Number(fields[6]) & exitingFlag) !== 0;
  const startedAt = Number(fields[19]);
  if (!Number.isSafeInteger(parent) || !Number.isSafeInteger(startedAt)) return undefined;
  return { comm: text.slice(open + 1, shut), parent, startedAt, isExiting };
}

export function parseCmdline(bytes: Buffer): readonly string[] {
  if (bytes.length === 0) return [];
  const text = bytes.toString("utf8");
  const args = (text.endsWith("\0") ? text.slice(0, -1) : text).split("\0");
  return args.slice(0, mostArguments).map((arg) => arg.slice(0, longestArgument));
}

/** The second number of "Uid: real effective saved filesystem". */
export function parseUid(status: string): number | undefined {
  const found = /^Uid:\t\d+\t(?<uid>\d+)/m.exec(status)?.groups?.["uid"];
  return found === undefined ? undefined : Number(found);
}

function readExe(dir: string): string | undefined {
  const fd = openPlain(-1, `${dir}/exe`, lookFlags);
  if (fd < 0) return undefined;
  try {
    const target = readLink(fd);
    return typeof target === "string" ? target.replace(/ \(deleted\)$/, "") : undefined;
  } finally {
    close(fd);
  }
}

const fileStat = new Stat();

/** Through the link in /proc, which leads to the file in any mount namespace. */
function identifyExe(dir: string): LiveProcess["executable"] {
  const fd = openPlain(-1, `${dir}/exe`, lookFlags & ~constants.O_NOFOLLOW);
  if (fd < 0) return undefined;
  try {
    return fileStat.fill(fd) === 0 ? { dev: fileStat.dev, ino: fileStat.ino } : undefined;
  } finally {
    close(fd);
  }
}

function readText(path: string): string {
  return readBytes(path).toString("utf8");
}

/** The file's first bytes, in a buffer that the next call overwrites; empty when unreadable. */
function readBytes(path: string): Buffer {
  const fd = openPlain(-1, path, readFlags);
  if (fd < 0) return fileBytes.subarray(0, 0);
  try {
    return fileBytes.subarray(0, Math.max(0, readAt(fd, 0, fileBytes)));
  } finally {
    close(fd);
  }
}
