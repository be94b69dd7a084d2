import { statSync } from "node:fs";
import type { FoldedChange } from "../core/change.ts";
import { IntegrityError } from "../core/error.ts";
import type { Running } from "./running.ts";

/** Milliseconds for which like changes are counted before they are told. */
const foldWindow = 10_000;

/** What is done again and again beside the quick sweep. What cannot be stored now is tried again the next time. */
export function houseKeeping(
  { state, settings, ledger, metrics, wellbeing }: Running,
  onAlert: (alert: FoldedChange) => void,
): () => void {
  const opened = identityOf(state.db.name);
  const watchOwnFile = (): void => {
    if (identityOf(state.db.name) === opened) wellbeing.over("state directory");
    else
      wellbeing.trouble(
        "state directory",
        `${state.db.name} is gone or was replaced: what is stored from now on ends with this process`,
      );
  };
  return () => {
    watchOwnFile();
    try {
      state.queue.prune({ keepBytes: settings.outbox.maxBytes });
      for (const alert of ledger.flush(foldWindow)) onAlert(alert);
      metrics.baselineCounter(state.baseline.counter());
      wellbeing.over("state");
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      wellbeing.trouble("state", error.message);
    }
  };
}

/** The file that a path names; undefined: none. */
function identityOf(file: string): string | undefined {
  try {
    const { dev, ino } = statSync(file, { bigint: true });
    return `${dev}:${ino}`;
  } catch {
    return undefined;
  }
}
