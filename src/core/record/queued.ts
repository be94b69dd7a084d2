/**
 * A queued record with its exact bytes. Only these are signed: whether a record is sent is decided by them, never by a
 * column beside them, which one SQL statement could alter.
 */
export interface Leased {
  readonly seq: number;
  readonly bytes: Buffer;
}

export interface LeaseLimits {
  readonly maxRecords: number;
  readonly maxBytes: number;
  /** Where whole batches are leased. */
  readonly maxBatches?: number;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A sink's progress. */
export interface SinkState {
  /** The last settled record. */
  readonly seq: number;
  /** Failures in a row. */
  readonly attempts: number;
  /** Milliseconds since 1970 before which nothing may be sent. */
  readonly nextAt: number;
  readonly disabled: boolean;
  readonly reason?: string;
}

/** When a record was written, milliseconds since 1970, from its first keys alone. Undefined: it is no record. */
export function timeOf(bytes: Buffer): number | undefined {
  const [, text = ""] =
    /"prev":"[0-9a-f]*","at":"([^"]*)"/.exec(bytes.toString("utf8", 0, 2048)) ?? [];
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
