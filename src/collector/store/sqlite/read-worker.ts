import Database from "better-sqlite3";
import type { AlertCounts } from "../counts.ts";
import type { AlertQuery, HourCount } from "../store.ts";
import { PathNames } from "./path-names.ts";
import { alertsByHour, openAlerts } from "./count.ts";
import { findRecords } from "./search.ts";
import { countAlerts } from "./tally.ts";
import type { OpenAlerts } from "./count.ts";

export interface Question {
  readonly file: string;
  /** Milliseconds that it may take. */
  readonly limit: number;
  readonly records?: AlertQuery;
  readonly counted?: AlertQuery;
  readonly hoursSince?: number;
}

export type Answer =
  | { readonly records: readonly number[] }
  | { readonly counts: AlertCounts }
  | { readonly hours: readonly HourCount[] }
  | { readonly open: OpenAlerts }
  | { readonly tooSlow: true };

interface Reading {
  readonly db: Database.Database;
  readonly names: PathNames;
}

let reading: Reading | undefined;
let deadline = Infinity;

class TooSlow extends Error {}

/** Answers what takes more than a moment with many alerts, on a connection that writes nothing. */
export default function answer({ file, limit, records, counted, hoursSince }: Question): Answer {
  reading ??= open(file);
  const { db, names } = reading;
  deadline = performance.now() + limit;
  try {
    if (records) return { records: findRecords(db, records, names) };
    if (counted) return { counts: countAlerts(db, findRecords(db, counted, names)) };
    if (hoursSince !== undefined) return { hours: alertsByHour(db, hoursSince) };
    return { open: openAlerts(db) };
  } catch (error) {
    if (error instanceof TooSlow) return { tooSlow: true };
    throw error;
  }
}

function open(file: string): Reading {
  const db = new Database(file, { readonly: true, fileMustExist: true });
  db.pragma("cache_size = -32000");
  db.pragma("temp_store = MEMORY");
  db.function("in_time", { varargs: true }, () => {
    if (performance.now() > deadline) throw new TooSlow("the time is over");
    return 1;
  });
  return { db, names: new PathNames(db) };
}
