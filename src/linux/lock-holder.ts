import { readFileSync, statSync } from "node:fs";

/** The process that holds a lock of flock(2) on a file, without touching it (proc_locks(5)). Undefined: none that we see. */
export function lockHolder(file: string): number | undefined {
  const inode = statSync(file, { throwIfNoEntry: false })?.ino;
  if (inode === undefined) return undefined;
  for (const line of readFileSync("/proc/locks", "utf8").split("\n")) {
    // "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF"; one that waits has "->" after the number.
    const [, kind, , , pid = "", where = ""] = line.trim().split(/\s+/);
    if (kind === "FLOCK" && where.split(":").at(-1) === `${inode}`) return Number(pid);
  }
  return undefined;
}
