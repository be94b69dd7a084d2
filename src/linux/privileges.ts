import { hasCapability, readCapabilities, writeCapabilities } from "./process-capabilities.ts";
import type { CapabilitySets } from "./process-capabilities.ts";
import { checked, declare } from "./libc.ts";

/*
 * prctl(2): what a thread may do, and what a program that it executes may gain. Numbers: include/uapi/linux/prctl.h,
 * securebits.h.
 */

const PR_CAPBSET_READ = 23;
const PR_CAPBSET_DROP = 24;
const PR_GET_SECUREBITS = 27;
const PR_SET_NO_NEW_PRIVS = 38;
const PR_GET_NO_NEW_PRIVS = 39;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_IS_SET = 1;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const SECBIT_NOROOT = 1;

/** The width of a set; a kernel knows fewer. */
const mostCapabilities = 64;

/** What this thread may do, and what it can gain by executing a program. */
export interface Privileges extends CapabilitySets {
  readonly bounding: bigint;
  readonly ambient: bigint;
  /** No executed program gains more than the thread has (no_new_privs). */
  readonly gainsNothing: boolean;
}

export function readPrivileges(): Privileges {
  return {
    ...readCapabilities(),
    bounding: setOf((number) => prctl(PR_CAPBSET_READ, number)),
    ambient: setOf((number) => prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, number)),
    gainsNothing: prctl(PR_GET_NO_NEW_PRIVS) === 1,
  };
}

/** Holds nothing, and can gain nothing, beyond what it may keep. */
export function isLimited(now: Privileges, kept: bigint): boolean {
  return now.gainsNothing && excessOf(now, kept) === 0n;
}

/**
 * What the thread holds beyond what it may keep. The bounding set counts while it can be reduced; later it gives
 * nothing.
 */
export function excessOf(now: Privileges, kept: bigint): bigint {
  const held = now.effective | now.permitted | now.inheritable | now.ambient;
  return (held | (hasCapability(now.effective, "CAP_SETPCAP") ? now.bounding : 0n)) & ~kept;
}

/**
 * Drops, in this thread and for good, everything but what it may keep: not even a set-user-id program or a file with
 * capabilities brings it back.
 */
export function limitPrivileges(kept: bigint): void {
  const before = readPrivileges();
  if (hasCapability(before.effective, "CAP_SETPCAP"))
    for (const number of numbersOf(before.bounding & ~kept))
      checked(prctl(PR_CAPBSET_DROP, number), "prctl PR_CAPBSET_DROP", String(number));
  const permitted = before.permitted & kept;
  const passed = isRoot() ? 0n : permitted;
  writeCapabilities({ effective: permitted, permitted, inheritable: passed });
  checked(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL), "prctl PR_CAP_AMBIENT", "");
  for (const number of numbersOf(passed)) {
    // Where securebits forbid it, the next program loses them, and says what it lacks.
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number);
  }
  checked(prctl(PR_SET_NO_NEW_PRIVS, 1), "prctl PR_SET_NO_NEW_PRIVS", "");
}

/** The user to whom execve(2) leaves the permitted set; other users keep only the ambient set. */
function isRoot(): boolean {
  return process.geteuid?.() === 0 && (prctl(PR_GET_SECUREBITS) & SECBIT_NOROOT) === 0;
}

type Prctl = (...numbers: [option: number, a: number, b: number, c: number, d: number]) => number;
let prctlCall: Prctl | undefined;

/** Unused arguments must be zero (prctl(2)). */
function prctl(option: number, first = 0, second = 0): number {
  prctlCall ??= declare<Prctl>(
    "int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)",
  );
  return prctlCall(option, first, second, 0, 0);
}

/** The capabilities for which the kernel answers 1; -1 is an unknown one. */
function setOf(ask: (number: number) => number): bigint {
  let set = 0n;
  for (let number = 0; number < mostCapabilities; number += 1)
    if (ask(number) === 1) set |= 1n << BigInt(number);
  return set;
}

function numbersOf(set: bigint): readonly number[] {
  return Array.from({ length: mostCapabilities }, (_, number) => number).filter(
    (number) => ((set >> BigInt(number)) & 1n) === 1n,
  );
}
