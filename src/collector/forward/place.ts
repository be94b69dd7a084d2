import type { SinkState } from "../../core/record/queued.ts";
import { fieldsOf, numberAt, textAt } from "../../core/record/fields.ts";

/** Where a sink is among the stored alerts, and which collector serves it. */
export interface Place extends SinkState {
  /** Identifies the keys that were in use when the receiver disabled the sink. */
  readonly keys?: string;
  /** The collector that serves it until this time, milliseconds since 1970. */
  readonly holder?: string;
  readonly until?: number;
}

/** Milliseconds for which a collector serves a sink without saying so again. */
export const held = 15_000;

export function parsePlace(text: string): Place {
  const value = fieldsOf(JSON.parse(text));
  const [reason, keys, holder] = ["reason", "keys", "holder"].map((name) => textAt(value, name));
  const until = numberAt(value, "until");
  return {
    seq: numberAt(value, "seq") ?? 0,
    attempts: numberAt(value, "attempts") ?? 0,
    nextAt: numberAt(value, "nextAt") ?? 0,
    disabled: value["disabled"] === true,
    ...(reason !== undefined && { reason }),
    ...(keys !== undefined && { keys }),
    ...(holder !== undefined && { holder }),
    ...(until !== undefined && { until }),
  };
}

/** The place with this collector as its holder. Undefined: another one serves the sink. */
export function claim(place: Place, holder: string, now: number): Place | undefined {
  const { holder: other, until = 0 } = place;
  // A time further away than any collector writes is of a clock that was set back since.
  const isHeld = other !== undefined && other !== holder && until > now && until <= now + 2 * held;
  return isHeld ? undefined : { ...place, holder, until: now + held };
}
