import { writeSync } from "node:fs";
import { IntegrityError } from "../core/error.ts";

/** Waits for a slow reader instead of keeping the rest in memory. */
export function writeAll(bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(process.stdout.fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

/** An export is for a file or another program. */
export function requireNoTerminal(program: string): void {
  if (process.stdout.isTTY)
    throw new IntegrityError("USAGE", "export: expected a file or a pipe, found a terminal", {
      hint: `write it to a file: ${program} export > FILE`,
    });
}
