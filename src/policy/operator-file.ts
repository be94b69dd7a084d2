import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";
import type { Stats } from "node:fs";

/** No policy or configuration is larger; a larger one would fill the memory. */
const mostBytes = 1024 * 1024;

interface OperatorFileOptions {
  /** Also accept a pipe: `--config <(command)`. */
  readonly pipe?: boolean;
}

/** A file that decides what the agent does: its text, or why the agent must not use it. */
export type OperatorFile =
  | { readonly text: string }
  /** `errno`: the file cannot be opened or read. */
  | { readonly problem: string; readonly errno?: string };

/**
 * Reads a file that an operator wrote: a regular file of at most 1 MiB, of root or the present user, writable by its
 * owner alone. Another user who may write it would decide what the agent watches. Never waits for a FIFO.
 */
export function readOperatorFile(path: string, options: OperatorFileOptions = {}): OperatorFile {
  let fd: number | undefined;
  try {
    const isPipe = options.pipe === true && statSync(path).isFIFO();
    fd = openSync(path, constants.O_RDONLY | (isPipe ? 0 : constants.O_NONBLOCK));
    const seen = fstatSync(fd);
    if (seen.isFIFO() && isPipe) return bounded(readUpTo(fd, mostBytes + 1));
    const problem = problemOf(seen);
    return problem === undefined ? bounded(readUpTo(fd, mostBytes + 1)) : { problem };
  } catch (error) {
    const { code: errno } = error as NodeJS.ErrnoException;
    if (errno === undefined) throw error;
    return { problem: errno === "ENOENT" ? "no such file" : `cannot be read: ${errno}`, errno };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function problemOf(seen: Stats): string | undefined {
  if (!seen.isFile()) return "expected a regular file, found something else";
  const mode = (seen.mode & 0o7777).toString(8).padStart(4, "0");
  if ((seen.mode & 0o022) !== 0)
    return `writable by others than its owner (mode ${mode}): chmod go-w it`;
  if (seen.uid !== 0 && seen.uid !== process.getuid?.())
    return `belongs to uid ${seen.uid}: expected root or the user that runs this`;
  return undefined;
}

function bounded(bytes: Buffer): OperatorFile {
  return bytes.length > mostBytes
    ? { problem: `larger than ${mostBytes} bytes` }
    : { text: bytes.toString("utf8") };
}

function readUpTo(fd: number, most: number): Buffer {
  const parts: Buffer[] = [];
  for (let left = most; left > 0;) {
    const part = Buffer.allocUnsafe(Math.min(left, 64 * 1024));
    const size = readSync(fd, part);
    if (size === 0) break;
    parts.push(part.subarray(0, size));
    left -= size;
  }
  return Buffer.concat(parts);
}
