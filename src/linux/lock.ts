import { closeSync, constants, openSync } from "node:fs";
import { IntegrityError } from "../core/error.ts";
import { declare, errno, errnoName } from "./libc.ts";

/* sys/file.h */
const lockExclusive = 2;
const lockNonBlocking = 4;

const flock = declare<(fd: number, operation: number) => number>("int flock(int, int)");

/** Holds a file for this process alone (flock(2)) until disposal or the end of the process. */
export function lockFile(file: string): Disposable {
  const fd = open(file);
  if (flock(fd, lockExclusive | lockNonBlocking) === 0)
    return { [Symbol.dispose]: () => closeSync(fd) };
  const name = errnoName(errno());
  closeSync(fd);
  throw new IntegrityError("STATE_BUSY", `lock ${file}: held by another process (${name})`, {
    hint: "one agent watches with one state directory: stop the other, or give this one another --state",
  });
}

function open(file: string): number {
  try {
    return openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new IntegrityError("STATE_UNUSABLE", `lock ${file}: cannot be opened (${code})`, {
      hint: "the state directory must be the agent's own and writable, and lock a plain file in it",
      cause,
    });
  }
}
