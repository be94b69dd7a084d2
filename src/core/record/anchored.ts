import type { Heartbeat } from "./heartbeat.ts";

/** The last signature of a baseline that the chain recorded. */
export interface RecordedBaseline {
  readonly counter: number;
  readonly digest: string;
}

export interface Known {
  /** Absent: no record of kind "baseline" was received. */
  readonly baseline?: RecordedBaseline;
  /** The last stored record of the chain that the heartbeat names. */
  readonly seq: number;
}

/** Why a fresh heartbeat shows a node that was set back. Undefined: it agrees with what is known. */
export function setBack(
  heartbeat: Pick<Heartbeat, "seq" | "baseline">,
  { baseline: recorded, seq }: Known,
): string | undefined {
  const { baseline } = heartbeat;
  if (heartbeat.seq < seq)
    return `its chain ends at record ${heartbeat.seq}, record ${seq} was received before`;
  if (!recorded) return undefined;
  if (baseline.counter < recorded.counter)
    return `its baseline went back to counter ${baseline.counter}, ${recorded.counter} was recorded`;
  if (baseline.counter > recorded.counter)
    return heartbeat.seq === seq
      ? `its baseline moved to counter ${baseline.counter} without a record, ${recorded.counter} was recorded`
      : undefined;
  return baseline.digest === recorded.digest
    ? undefined
    : `its baseline of counter ${baseline.counter} has another digest than the recorded one`;
}
