import type { ErrorCode } from "../../core/error.ts";
import type { Want } from "../observer.ts";

/** A path to observe. */
export interface Item {
  readonly path: string;
  readonly want: Want;
}

/** The observation of a path. */
export interface Result {
  readonly path: string;
  /** `rowOf` the observation. Absent: the path does not exist. */
  readonly row?: string;
  /** As in the observation; not part of the row. */
  readonly prefix?: { readonly size: number; readonly sha256: string };
  /** As in the observation and in the row; saves parsing. */
  readonly unreadable?: string;
}

/** Main thread -> worker. */
export interface Job {
  readonly id: number;
  readonly items: readonly Item[];
  /** Hand a file back unread if more than this must be read of it. */
  readonly largeBytes: number;
  readonly bytesPerSecond?: number;
}

/** Main thread -> worker: no more jobs. */
export type Ending = "end";

/** Worker -> main thread. */
export type Answer =
  | {
      readonly kind: "done";
      readonly id: number;
      readonly results: readonly Result[];
      readonly large: readonly Large[];
      /** Bytes read. */
      readonly bytes: number;
    }
  | {
      readonly kind: "failed";
      readonly id: number;
      readonly message: string;
      /** Of an IntegrityError. */
      readonly code?: ErrorCode;
      readonly hint?: string;
    };

/** An item that was handed back. */
export interface Large {
  readonly item: Item;
  readonly size: number;
}

export interface WorkerData {
  readonly root: string;
  /** One Int32; not zero: stop. */
  readonly stop: SharedArrayBuffer;
}
