import Database from "better-sqlite3";
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { IntegrityError } from "../../../core/error.ts";
import { attempt, explain } from "../../../sqlite/fault.ts";

/**
 * Copies a database that a collector may be writing to, as it is at one moment (sqlite.org/backup.html). All pages are
 * copied in one step: what is committed meanwhile would make a copy in steps begin again.
 */
export async function backupDatabase(from: string, to: string): Promise<void> {
  for (const [file, expected] of [
    [from, true],
    [to, false],
  ] as const)
    if (existsSync(file) !== expected)
      throw new IntegrityError("USAGE", `${file}: ${expected ? "there is none" : "exists"}`, {
        hint: expected ? "check --state and --store" : "name a file that does not exist",
      });
  const part = `${to}.part`;
  const source = attempt(() => new Database(from, { readonly: true, fileMustExist: true }), from);
  try {
    rmSync(part, { force: true });
    closeSync(openSync(part, "wx", 0o600));
    await source.backup(part, { progress: ({ remainingPages }) => Math.max(remainingPages, 1) });
    check(part);
    chmodSync(part, 0o600);
    sync(part);
    renameSync(part, to);
  } catch (error) {
    throw explain(error, part);
  } finally {
    source.close();
    for (const file of [part, `${part}-wal`, `${part}-shm`]) rmSync(file, { force: true });
  }
}

function check(file: string): void {
  const copy = new Database(file, { readonly: true });
  try {
    const found = copy.pragma("quick_check(1)", { simple: true });
    if (found === "ok") return;
    throw new IntegrityError("STATE_UNUSABLE", `the copy is damaged: ${String(found)}`, {
      hint: "check the disk, and the database with: fim-collector serve, which reads all of it",
    });
  } finally {
    copy.close();
  }
}

function sync(file: string): void {
  const fd = openSync(file, "r+");
  fsyncSync(fd);
  closeSync(fd);
}
