import Database from "better-sqlite3";
import { IntegrityError } from "../core/error.ts";

/** Puts SQLite's error codes (sqlite.org/rescode.html) into an operator's words; leaves other errors alone. */
export function explain(error: unknown, file: string): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  const unusable = (found: string, hint: string): IntegrityError =>
    new IntegrityError("STATE_UNUSABLE", `database ${file}: ${found}`, { hint, cause: error });
  const [primary = ""] = /^SQLITE_[A-Z]+/.exec(error.code) ?? [];
  switch (primary) {
    case "SQLITE_BUSY":
    case "SQLITE_LOCKED":
    // Another process locks the index of the write-ahead log, which readers need too (sqlite.org/walformat.html).
    case "SQLITE_PROTOCOL":
      return new IntegrityError("STATE_BUSY", `database ${file}: locked by another process`, {
        hint: "wait until the other fim-agent command has finished, or stop it",
        cause: error,
      });
    case "SQLITE_FULL":
      return new IntegrityError(
        "STATE_FULL",
        `database ${file}: the disk is full, nothing was written`,
        { hint: "make room on it", cause: error },
      );
    case "SQLITE_NOTADB":
      return unusable("not an SQLite database", damagedHint);
    case "SQLITE_CORRUPT":
      return unusable(`altered or damaged (${error.message})`, damagedHint);
    case "SQLITE_CANTOPEN":
    case "SQLITE_READONLY":
    case "SQLITE_PERM":
    case "SQLITE_AUTH":
      return unusable(`cannot be opened for this (${error.code})`, "check its owner and mode");
    case "SQLITE_IOERR":
      return unusable(`cannot be read or written (${error.code})`, "check the disk");
    default:
      // Our statements fit our schema: a table, a column or a row was altered.
      return unusable(`altered or damaged (${error.message})`, damagedHint);
  }
}

/** Runs it, with SQLite's errors put into words. */
export function attempt<T>(work: () => T, file: string): T {
  try {
    return work();
  } catch (error) {
    throw explain(error, file);
  }
}

const damagedHint =
  "keep the file as evidence, move it away, then capture again with: fim-agent baseline --replace --reason TEXT";
