import { readFileSync } from "node:fs";
import { declare } from "./libc.ts";
import type { Call } from "./libc.ts";

const MADV_DONTNEED = 4;

/** A mapping of a file, as proc_pid_smaps(5) gives it. */
interface Mapping {
  readonly from: number;
  readonly length: number;
}

/**
 * Gives back pages of programs and libraries that this process only reads: it needs few of them after its start, and
 * they come back from the page cache (madvise(2), MADV_DONTNEED).
 */
export function giveBackProgramPages(): void {
  const madvise = declare<Call<[from: number, length: number, advice: number]>>(
    "int madvise(uintptr_t from, size_t length, int advice)",
  );
  // A refused mapping stays as it is: this is an optimisation.
  for (const { from, length } of pureMappings(readFileSync("/proc/self/smaps", "latin1")))
    madvise(from, length, MADV_DONTNEED);
}

/** Mappings of files that are not writable and have no changed page: their pages are as on disk. */
export function pureMappings(smaps: string): readonly Mapping[] {
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((text) => {
    const [, from, to, inode] = /^([0-9a-f]+)-([0-9a-f]+) r-.p \S+ \S+ (\d+) /.exec(text) ?? [];
    if (from === undefined || to === undefined || inode === "0") return [];
    if (!/^Anonymous: +0 kB$/m.test(text)) return [];
    const start = parseInt(from, 16);
    return [{ from: start, length: parseInt(to, 16) - start }];
  });
}
