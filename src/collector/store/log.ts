import type { Place, RightEdge } from "../../core/tlog/tree.ts";
import type { NodeKey, NodeName } from "./store.ts";

/** What is read of the log: a Merkle tree over every stored record in the order of arrival. */
export interface LogReader {
  tree(): Promise<RightEdge>;
  /** Hash of a complete subtree. */
  hashAt(place: Place): Promise<string | undefined>;
  /** Hashes of at most this many leaves from this index on, up to the first that is missing. */
  leaves(from: number, limit: number): Promise<readonly string[]>;
  batches(query: LogQuery): Promise<readonly StoredBatch[]>;
  /** The newest signed note of this origin. */
  checkpoint(origin: string): Promise<string | undefined>;
  /** Index of the leaf of an alert's record. */
  leafOf(alertId: number): Promise<number | undefined>;
}

/** Whole batches, in the order of their leaves. */
export interface LogQuery {
  /** The first leaf of a batch is at least `from` and less than `to`. */
  readonly from: number;
  readonly to: number;
  readonly node?: NodeName;
  /** Received at or after, milliseconds since 1970. */
  readonly since?: number;
  readonly limit: number;
}

export interface StoredBatch {
  readonly leaf: number;
  readonly chain: string;
  readonly branch: number;
  /** All keys of the node. None: the chain is a collector's own. */
  readonly keys: readonly NodeKey[];
  readonly enrolment?: string;
  readonly envelope: string;
  readonly records: readonly Buffer[];
}
