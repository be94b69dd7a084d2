import { globSync, readFileSync } from "node:fs";
import { print } from "./report.ts";

const programs = [
  { title: "agent", words: ["/usr/lib/fim-agent/", "\0watch\0"] },
  { title: "collector", words: ["/usr/lib/fim-agent/", "\0serve\0"] },
] as const;

/** Prints what the pods' programs have in memory: now, and at most since they started. */
export function printMemory(moment: string): void {
  for (const { title, words } of programs)
    for (const directory of globSync("/proc/[0-9]*")) {
      const status = readStatus(directory, words);
      if (status === undefined) continue;
      const [now, most] = ["VmRSS", "VmHWM"].map((field) => megabytes(status, field));
      print(`        ${moment}: the ${title} has ${now} MB resident, ${most} MB at most`);
    }
}

/** Undefined: another program's, or it has ended. */
function readStatus(directory: string, words: readonly string[]): string | undefined {
  try {
    const command = readFileSync(`${directory}/cmdline`, "utf8");
    if (!words.every((word) => command.includes(word))) return undefined;
    return readFileSync(`${directory}/status`, "utf8");
  } catch {
    return undefined;
  }
}

/** A field in kB of 1024 bytes, in millions of bytes. */
function megabytes(status: string, field: string): number {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1];
  return Math.round((Number(kilobytes) * 1024) / 1e6);
}
