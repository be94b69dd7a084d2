import Database from "better-sqlite3";

let db: Database.Database | undefined;

/** Copies what is in the write-ahead log into the database file. Waits for no reader and no writer. */
export default function copyLog(file: string): void {
  db ??= open(file);
  db.pragma("wal_checkpoint(PASSIVE)");
}

function open(file: string): Database.Database {
  const opened = new Database(file, { fileMustExist: true, timeout: 0 });
  // As on the connection that writes: the copy is on the disk before the log is written over.
  opened.pragma("synchronous = FULL");
  return opened;
}
