import type { Actor } from "../../core/change/hint.ts";
import { markDescriptor } from "../../linux/fanotify.ts";
import type { FanotifyEvent, Group } from "../../linux/fanotify.ts";
import { close } from "../../linux/files.ts";
import { Stat } from "../../linux/statx.ts";

/** Milliseconds between the opening of a program and its execution, at most. */
const startsWithin = 1000;

const stat = new Stat();

/** Has executions of the open file told; which file that is, or undefined. Closes the descriptor. */
export function markExecution(group: Group, fd: number): Actor["executable"] {
  try {
    markDescriptor({ group, wanted: ["openExec"], target: "file" }, fd);
    return stat.fill(fd) === 0 ? { dev: stat.dev, ino: stat.ino } : undefined;
  } finally {
    close(fd);
  }
}

interface Reading {
  /** When it began, milliseconds on the monotonic clock. */
  readonly readAt: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Programs whose word counts. Who had a pid is asked when its events are read: it may have executed one since. */
export class Programs {
  readonly #files = new Set<string>();
  /** Pids that opened one of them to execute it, and did nothing since; and when that was read. */
  readonly #starting = new Map<number, number>();
  /** Pids of the last reading: they were to execute one when it began, or before whatever else they did. */
  #started = new Set<number>();
  /** Pids of the last reading that executed one after something else. */
  #changed = new Set<number>();
  #readAt = 0;

  add(file: Actor["executable"]): void {
    if (file) this.#files.add(`${file.dev} ${file.ino}`);
  }

  /** What was read together, in its order. */
  take(events: readonly FanotifyEvent[], { readAt, at }: Reading): void {
    this.#readAt = readAt;
    for (const [pid, since] of this.#starting)
      if (at - since > startsWithin) this.#starting.delete(pid);
    this.#started = new Set(this.#starting.keys());
    this.#changed = new Set();
    const active = new Set<number>();
    for (const { bits, pid } of events) {
      if (bits.includes("openExec")) {
        if (active.has(pid)) this.#changed.add(pid);
        else this.#started.add(pid);
        this.#starting.set(pid, at);
      } else {
        active.add(pid);
        this.#starting.delete(pid);
      }
    }
  }

  /** It may have executed its program only after what was read of it last. */
  isLater({ pid, executable, executedAt = 0 }: Actor): boolean {
    if (this.#changed.has(pid)) return true;
    if (!executable || !this.#files.has(`${executable.dev} ${executable.ino}`)) return false;
    return executedAt > this.#readAt && !this.#started.has(pid);
  }
}
