import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { IntegrityError } from "../core/error.ts";

/** No small file of ours is ever larger. */
const mostBytes = 2 ** 24;

/** Reads one of our small files. E2BIG for a huge one, which would fill the memory. */
export function readSmall(fd: number): string {
  if (fstatSync(fd).size > mostBytes)
    throw Object.assign(new Error("larger than any file of ours"), { code: "E2BIG" });
  return readFileSync(fd, "utf8");
}

/** Replaces a file atomically: after a crash the old or the new one is complete. */
export function replaceFile(file: string, text: string): void {
  write(file, text, (temporary) => renameSync(temporary, file));
}

/** The same, only where no such file exists. False: it exists. */
export function createFile(file: string, text: string): boolean {
  let created = true;
  write(file, text, (temporary) => {
    try {
      linkSync(temporary, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      created = false;
    }
  });
  return created;
}

function write(file: string, text: string, place: (temporary: string) => void): void {
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    rmSync(temporary, { force: true });
    const fd = openSync(temporary, "wx", 0o600);
    try {
      // The umask may have removed bits.
      fchmodSync(fd, 0o600);
      writeSync(fd, text);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    place(temporary);
    syncDirectory(dirname(file));
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    throw new IntegrityError("STATE_UNUSABLE", `${file}: cannot be written (${code})`, {
      hint: "the state directory must exist, be writable and have room",
      cause: error,
    });
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** A new name is only safe once its directory is (fsync(2)). */
function syncDirectory(directory: string): void {
  const fd = openSync(directory, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
