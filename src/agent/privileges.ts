import { accessSync, constants, existsSync, statSync } from "node:fs";
import { IntegrityError } from "../core/error.ts";
import { capabilityBits, hasCapability, readCapabilities } from "../linux/process-capabilities.ts";
import type { CapabilityName } from "../linux/process-capabilities.ts";
import { raiseLockedMemory } from "../linux/limits.ts";
import { excessOf, isLimited, limitPrivileges, readPrivileges } from "../linux/privileges.ts";
import type { Privileges } from "../linux/privileges.ts";
import type { Engine } from "../config/options.ts";

/** A capability that `watch` keeps. It drops every other one. */
export interface Need {
  readonly name: CapabilityName;
  readonly why: string;
  /** What the agent loses without it. */
  readonly without: string;
  /** The older, wider capability that includes it. */
  readonly standIn?: CapabilityName;
  /** Only this engine uses it. */
  readonly engine?: "fanotify";
}

export const needs: readonly Need[] = [
  {
    name: "CAP_SYS_ADMIN",
    why: "fanotify with the pid of the process; tracefs where it is not mounted; trusted.* attributes",
    without:
      "no fanotify: no process is named, and writes through mmap or a hard link are found by sweeps; trusted.* attributes are not seen",
  },
  {
    name: "CAP_DAC_READ_SEARCH",
    why: "files of every owner; directories that an event names by their handle",
    without:
      "files that only another user may read are reported as unreadable, their content is not compared",
  },
  {
    name: "CAP_SYS_PTRACE",
    why: "which program a process of another user runs; the mounts of the node's first process",
    without:
      "the program behind a change is often unknown, so that a rule's allowed writers are not recognised; with a root of its own, mounts made on the node may go unseen",
  },
  {
    name: "CAP_BPF",
    why: "the history of executed programs",
    without: "about half of the processes that live for a moment only are not named",
    standIn: "CAP_SYS_ADMIN",
    engine: "fanotify",
  },
  {
    name: "CAP_PERFMON",
    why: "to run the history's BPF programs at tracepoints",
    without: "about half of the processes that live for a moment only are not named",
    standIn: "CAP_SYS_ADMIN",
    engine: "fanotify",
  },
  {
    name: "CAP_FOWNER",
    why: "reading leaves no access time behind (O_NOATIME)",
    without: "reading a file of another user changes its access time",
  },
];

const kept = capabilityBits(needs.map(({ name }) => name));

/** "replaced": a wider capability is there instead. */
type Standing = "there" | "replaced" | "missing";

export function standingOf({ name, standIn }: Need, effective: bigint): Standing {
  if (hasCapability(effective, name)) return "there";
  return standIn !== undefined && hasCapability(effective, standIn) ? "replaced" : "missing";
}

/** What this process lacks for an agent with this engine. */
export function lacking(engine: Engine, effective = readCapabilities().effective): readonly Need[] {
  const hasUse = (need: Need): boolean =>
    need.engine === undefined || engine === "auto" || engine === need.engine;
  return needs.filter((need) => hasUse(need) && standingOf(need, effective) === "missing");
}

/** What the agent loses, in one sentence. Undefined: nothing. */
export function lossOf(lacks: readonly Need[]): string | undefined {
  if (lacks.length === 0) return undefined;
  return lacks.map(({ name, without }) => `without ${name}: ${without}`).join("; ");
}

/** How many capabilities `watch` drops. */
export function surplusOf(now: Privileges): number {
  return excessOf(now, kept).toString(2).replaceAll("0", "").length;
}

/**
 * Drops every privilege that is not needed. Privileges belong to threads, and Node has started some before our code
 * runs: those threads keep theirs. So the caller executes a program next, which ends all other threads; new threads
 * inherit.
 */
export function limitToNeeded(): void {
  raiseLockedMemory();
  if (isLimited(readPrivileges(), kept)) return;
  limitPrivileges(kept);
  requireLimited();
  requireExecutable(process.execPath);
}

/** Throws when this thread has, or can gain, more than it needs. */
export function requireLimited(): void {
  if (isLimited(readPrivileges(), kept)) return;
  throw new IntegrityError("UNSUPPORTED", "privileges: more than the needed ones are still there", {
    hint: "see CapPrm and NoNewPrivs in /proc/self/status",
  });
}

/** Node aborts without a useful message when it cannot be executed. */
function requireExecutable(file: string): void {
  try {
    accessSync(file, constants.X_OK);
  } catch (cause) {
    throw new IntegrityError(
      "UNSUPPORTED",
      `${file}: cannot be executed without CAP_DAC_OVERRIDE`,
      {
        hint: `let it be executable for ${user()}, or set FIM_NODEJS to a Node that is`,
        cause,
      },
    );
  }
}

/**
 * Whether `watch`, which keeps no right to override permissions, can write here. The caller may still have that
 * right.
 */
export function mayWrite(directory: string): boolean {
  const { uid, gid, mode } = statSync(directory);
  const groups = [process.getegid?.(), ...(process.getgroups?.() ?? [])];
  const shift = uid === process.geteuid?.() ? 6 : groups.includes(gid) ? 3 : 0;
  try {
    // The filesystem can be mounted read-only.
    accessSync(directory, constants.W_OK);
    return ((mode >> shift) & 0o3) === 0o3;
  } catch {
    return false;
  }
}

/** Without CAP_DAC_OVERRIDE even root obeys owner and mode. Another check reports a missing directory. */
export function requireWritable(directory: string): void {
  if (!existsSync(directory)) return;
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const { code = "" } = cause as NodeJS.ErrnoException;
    const { uid, mode } = statSync(directory);
    const found = `belongs to uid ${uid}, mode ${(mode & 0o7777).toString(8).padStart(4, "0")}`;
    throw new IntegrityError(
      "STATE_UNUSABLE",
      `state ${directory}: ${user()} cannot write it (${code}; ${found})`,
      { hint: unwritableHints[code] ?? "choose another directory with --state", cause },
    );
  }
}

const unwritableHints: Readonly<Record<string, string>> = {
  EACCES: `watch keeps no right to override permissions: give it ${user()} as its owner, and mode 0700`,
  EROFS: "it is mounted read-only: mount it for writing, or choose another with --state",
};

function user(): string {
  return `uid ${process.geteuid?.() ?? "?"}`;
}
