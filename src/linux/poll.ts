import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";
import { close } from "./files.ts";
import { checked, declare } from "./libc.ts";

interface PollCall {
  (descriptors: Buffer, count: number, milliseconds: number): number;
  async(...args: [Buffer, number, number, (error: Error | null, result: number) => void]): void;
}

/** poll(2). Errors of a descriptor (POLLERR, POLLHUP) are always reported. */
const events = { readable: 0x1, changed: 0x2 } as const;

let pollCall: PollCall | undefined;

/** A process that exits joins the threads of its pool, so it wakes the waiting ones. */
const open = new Set<Waiter>();
process.once("exit", () => {
  for (const waiter of open) waiter.wake();
});

/**
 * Waits for one descriptor in a thread of libuv's pool, which costs almost no memory (a worker thread costs 19 MB)
 * and nothing while idle. "readable" is POLLIN; "changed" is POLLPRI, with which kernel tables report a change since
 * they were opened (proc_pid_mountinfo(5)).
 */
export class Waiter implements Disposable {
  readonly #wakeFd = openWakeUp();
  /** Two of struct pollfd: s32 fd, s16 events, s16 revents. */
  readonly #descriptors = Buffer.alloc(16);
  #isWaiting = false;
  #isDisposed = false;

  constructor(fd: number, event: keyof typeof events) {
    this.#descriptors.writeInt32LE(fd, 0);
    this.#descriptors.writeInt16LE(events[event], 4);
    this.#descriptors.writeInt32LE(this.#wakeFd, 8);
    this.#descriptors.writeInt16LE(events.readable, 12);
    open.add(this);
  }

  /** Calls back once, on this thread: undefined when poll(2) failed. Not while a wait is pending. */
  wait(then: (outcome: "event" | "woken" | undefined) => void): void {
    pollCall ??= declare<(...args: never[]) => unknown>(
      "int poll(void *descriptors, unsigned long count, int milliseconds)",
    ) as unknown as PollCall;
    this.#isWaiting = true;
    pollCall.async(this.#descriptors, 2, -1, (error, result) => {
      this.#isWaiting = false;
      const isWoken = this.#descriptors.readInt16LE(14) !== 0;
      if (this.#isDisposed) close(this.#wakeFd);
      if (isWoken) then("woken");
      else then(error || result <= 0 ? undefined : "event");
    });
  }

  /** Ends this wait and every later one. */
  wake(): void {
    // struct eventfd: one u64 that is added.
    writeSync(this.#wakeFd, Buffer.of(1, 0, 0, 0, 0, 0, 0, 0));
  }

  /** The owner closes the descriptor, after the last wait. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    open.delete(this);
    if (this.#isWaiting) this.wake();
    else close(this.#wakeFd);
  }
}

/** eventfd(2): a write of eight bytes wakes the waiting thread. */
function openWakeUp(): number {
  const eventfd = declare<(value: number, flags: number) => number>(
    "int eventfd(unsigned int, int)",
  );
  const EFD_CLOEXEC = 0o2000000;
  return checked(eventfd(0, EFD_CLOEXEC), "eventfd", "");
}
