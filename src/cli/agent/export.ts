import type { Settings } from "../../config/settings.ts";
import { openState } from "../../node/state.ts";
import { exportChain } from "../../outbox/export.ts";
import { exit } from "../fail.ts";
import type { Exit } from "../fail.ts";
import { say } from "../print.ts";
import { sinceOf } from "../since.ts";
import { requireNoTerminal, writeAll } from "../write-all.ts";

/** `export [--since T]`: the chain's records and signatures, for `verify FILE`. */
export async function exportRecords(
  settings: Settings,
  given: Readonly<Record<string, unknown>>,
): Promise<Exit> {
  const since = sinceOf(given["since"]);
  requireNoTerminal("fim-agent");
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
