import type { Database } from "better-sqlite3";
import { pack, unpack } from "../../src/collector/store/packed.ts";

/** A record's text after its alteration. Undefined: the record is gone. `seq`: its number in its chain. */
export type Alteration = (record: string, seq: number) => string | undefined;

/** Alters records in a collector's SQLite database. */
export function alterRecords(db: Database, alter: Alteration): void {
  const batches = db
    .prepare<[], { leaf: number; first: number; records: Buffer }>(
      "SELECT leaf, first, records FROM batch",
    )
    .all();
  const update = db.prepare("UPDATE batch SET records = ? WHERE leaf = ?");
  for (const { leaf, first, records } of batches) {
    const altered = unpack(records).flatMap((one, at) => alter(one.toString(), first + at) ?? []);
    update.run(pack(altered.map((one) => Buffer.from(one))), leaf);
  }
}

/** Another file's name in the record of this number. */
export function renamedIn(wanted: number): Alteration {
  return (record, seq) => (seq === wanted ? record.replaceAll("admin.conf", "other.conf") : record);
}
