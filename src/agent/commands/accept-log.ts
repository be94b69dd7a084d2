import type { Settings } from "../../config/settings.ts";
import type { State } from "../../node/state.ts";
import { collectorWitness, logTrouble } from "../collector-sink.ts";
import { recordEvent } from "./event-record.ts";

/**
 * Takes the log that the collector shows next, after it was restored from a backup, and records why in the chain.
 * Returns the number of records that this agent knew before. Undefined: it knew no log, and nothing is recorded.
 */
export function acceptCollectorLog(
  state: State,
  settings: Settings,
  reason: string,
): number | undefined {
  const witness = collectorWitness(state);
  const size = witness.size();
  if (size === undefined) return undefined;
  recordEvent(state, settings, {
    event: "recovered",
    trouble: logTrouble,
    reason: `another log was accepted: ${reason}`,
  });
  witness.forget();
  return size;
}
