import { readFileSync } from "node:fs";
import { declare } from "./libc.ts";
import type { Call } from "./libc.ts";

const MADV_DONTNEED = 4;

/** A mapping of a file, as proc_pid_smaps(5) gives it. */
export interface Mapping {
  readonly from: number;
  readonly length: number;
}

/**
 * Gives back the pages of programs and libraries that this process only ever reads: after its start it needs a few
 * of them again, and those come back from the page cache (madvise(2), MADV_DONTNEED).
 */
export function giveBackProgramPages(): void {
  const madvise = declare<Call<[from: number, length: number, advice: number]>>(
    "int madvise(uintptr_t from, size_t length, int advice)",
  );
  // One that the kernel refuses stays as it is: nothing depends on it.
  for (const { from, length } of pureMappings(readFileSync("/proc/self/smaps", "latin1")))
    madvise(from, length, MADV_DONTNEED);
}

/** Mappings of files that cannot be written and of which no page was ever: what is given back is as it is on disk. */
export function pureMappings(smaps: string): readonly Mapping[] {
  return smaps.split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m).flatMap((text) => {
    const [, from, to, inode] = /^([0-9a-f]+)-([0-9a-f]+) r-.p \S+ \S+ (\d+) /.exec(text) ?? [];
    if (from === undefined || to === undefined || inode === "0") return [];
    if (!/^Anonymous: +0 kB$/m.test(text)) return [];
    const start = parseInt(from, 16);
    return [{ from: start, length: parseInt(to, 16) - start }];
  });
}
