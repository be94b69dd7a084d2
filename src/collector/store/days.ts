export const dayLength = 86_400_000;

/** The beginning of the day, UTC. */
export function dayOf(time: number): number {
  return time - (time % dayLength);
}

/** Old records, as days that can be deleted. Chains' heads, nodes, the log's tree and checkpoints stay. */
export interface StoredDays {
  /** The beginning of the oldest day that is kept. Undefined: there is none. */
  oldest(): Promise<number | undefined>;
  /** The number of the newest alert received on this day or before; 0 if there is none. */
  newestOf(day: number): Promise<number>;
  /** Bytes of the database that hold something. */
  size(): Promise<number>;
  /** Deletes the batches received on this day or before, with their records, alerts and comments. */
  drop(day: number): Promise<void>;
}
