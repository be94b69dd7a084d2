import type { Actor } from "../../core/change/hint.ts";
import { markDescriptor } from "../../linux/fanotify.ts";
import type { FanotifyEvent, Group } from "../../linux/fanotify.ts";
import { close } from "../../linux/files.ts";
import { Stat } from "../../linux/statx.ts";

/** Milliseconds between the opening of a program and its execution, at most. */
const startsWithin = 1000;

const stat = new Stat();

/** Marks the open file for execution events. Returns its identity, or undefined; closes the descriptor. */
export function markExecution(group: Group, fd: number): Actor["executable"] {
  try {
    markDescriptor({ group, wanted: ["openExec"], target: "file" }, fd);
    return stat.fill(fd) === 0 ? { dev: stat.dev, ino: stat.ino } : undefined;
  } finally {
    close(fd);
  }
}

interface Reading {
  /** Start of the reading, milliseconds on the monotonic clock. */
  readonly readAt: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Executions of writers. Processes are described when events are read, and may have executed one since. */
export class Programs {
  readonly #files = new Set<string>();
  /** Pids that opened a writer to execute it and did nothing since, with the time of reading. */
  readonly #starting = new Map<number, number>();
  /** Pids of the last reading that executed a writer before anything else. */
  #started = new Set<number>();
  /** Pids of the last reading that executed a writer after something else. */
  #changed = new Set<number>();
  #readAt = 0;

  add(file: Actor["executable"]): void {
    if (file) this.#files.add(`${file.dev} ${file.ino}`);
  }

  /** The events of one reading, in order. */
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

  /** Whether it may have executed its program after its last event. */
  isLater({ pid, executable, executedAt = 0 }: Actor): boolean {
    if (this.#changed.has(pid)) return true;
    if (!executable || !this.#files.has(`${executable.dev} ${executable.ino}`)) return false;
    return executedAt > this.#readAt && !this.#started.has(pid);
  }
}
