import type { Database } from "better-sqlite3";
import { pack, unpack } from "../../src/collector/store/packed.ts";

/** A record's text after its alteration. Undefined: the record is gone. `seq`: its number in its chain. */
export type Alteration = (record: string, seq: number) => string | undefined;

/** Alters records in a collector's SQLite database. */
export function alterRecords(db: Database, alter: Alteration): void {
  const packs = db
    .prepare<[], { id: number; seq: number; bytes: Buffer }>(
      `SELECT id, id - 1 - leaf + first AS seq, bytes FROM record JOIN batch
       ON id > leaf AND id <= leaf + last - first + 1`,
    )
    .all();
  const update = db.prepare("UPDATE record SET bytes = ? WHERE id = ?");
  for (const { id, seq, bytes } of packs) {
    const altered = unpack(bytes).flatMap((one, at) => alter(one.toString(), seq + at) ?? []);
    const [packed] = pack(altered.map((one) => Buffer.from(one)));
    update.run(packed?.bytes ?? Buffer.alloc(0), id);
  }
}

/** Another file's name in the record of this number. */
export function renamedIn(wanted: number): Alteration {
  return (record, seq) => (seq === wanted ? record.replaceAll("admin.conf", "other.conf") : record);
}
