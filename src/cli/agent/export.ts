import { writeSync } from "node:fs";
import type { Settings } from "../../config/settings.ts";
import { IntegrityError } from "../../core/error.ts";
import { openState } from "../../node/state.ts";
import { exportChain } from "../../outbox/export.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { say } from "../print.ts";
import { sinceOf } from "../since.ts";

/** `export [--since T]`: the chain's records and signatures, for `verify FILE`. */
export async function exportRecords(
  settings: Settings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const since = sinceOf(given["since"]);
  if (process.stdout.isTTY)
    throw new IntegrityError("USAGE", "export: expected a file or a pipe, found a terminal", {
      hint: "write it to a file: fim-agent export > FILE",
    });
  using state = openState(settings);
  let lines = 0;
  exportChain(state.db, {
    keys: [state.key.publicKey, ...state.key.past],
    write: (line) => {
      writeAll(Buffer.from(line));
      lines += 1;
    },
    ...(since !== undefined && { since }),
  });
  if (lines === 0) say("fim-agent: nothing was recorded since then");
  return exit.fine;
}

/** Waits for a slow reader instead of keeping the rest in memory. */
function writeAll(bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(process.stdout.fd, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}
