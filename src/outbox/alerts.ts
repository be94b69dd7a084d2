import type { Database } from "better-sqlite3";
import { parseRecord } from "../core/record/chain.ts";

/** An OCSF event as it is in the chain. */
export type AlertEvent = Readonly<Record<string, unknown>>;

export interface StoredAlert {
  readonly seq: number;
  readonly event: AlertEvent;
}

/** The alerts after this number in the chain, oldest first. Does not verify them. */
export function* alertsAfter(db: Database, seq: number): Generator<StoredAlert> {
  const next = db.prepare<[number], { readonly seq: number; readonly bytes: Buffer }>(
    "SELECT seq, bytes FROM record WHERE seq > ? AND kind = 'alert' ORDER BY seq LIMIT 1000",
  );
  for (let at = seq, rows = next.all(at); rows.length > 0; rows = next.all(at))
    for (const row of rows) {
      at = row.seq;
      const body = parseRecord(row.bytes)?.body;
      if (body) yield { seq: row.seq, event: body as AlertEvent };
    }
}
