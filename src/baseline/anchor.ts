import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { join } from "node:path";
import type { KeyObject } from "node:crypto";
import { sealAnchor } from "../core/record/statement.ts";
import type { Anchor } from "../core/record/statement.ts";
import { IntegrityError } from "../core/error.ts";
import { readSmall, replaceFile } from "./durable.ts";

/** Remembers the last baseline outside the database, for when the database is gone or older. */
export function anchorFile(stateDir: string): string {
  return join(stateDir, "anchor.json");
}

/** The file's text. Undefined: no file. Refuses anything but a regular file. */
export function readAnchorFile(stateDir: string): string | undefined {
  const file = anchorFile(stateDir);
  let fd: number | undefined;
  try {
    fd = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if (!fstatSync(fd).isFile()) throw unusable(file, "not a file");
    return readSmall(fd);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    if (error instanceof IntegrityError) throw error;
    throw unusable(file, code === "ELOOP" ? "a symbolic link" : `cannot be read (${code})`, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

export function writeAnchorFile(
  stateDir: string,
  anchor: Omit<Anchor, "v" | "key">,
  key: KeyObject,
): void {
  replaceFile(anchorFile(stateDir), `${JSON.stringify(sealAnchor(anchor, key))}\n`);
}

function unusable(file: string, found: string, cause?: unknown): IntegrityError {
  return new IntegrityError("STATE_UNUSABLE", `anchor ${file}: ${found}, expected a file of ours`, {
    hint: "find out who did it; put the file back, or capture again in another state directory",
    cause,
  });
}
