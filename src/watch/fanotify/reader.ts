import { Buffer } from "node:buffer";
import { constants as os } from "node:os";
import { readEvents } from "../../linux/fanotify.ts";
import { errnoName } from "../../linux/libc.ts";
import { Waiter } from "../../linux/poll.ts";

interface ReaderOptions {
  readonly groupFd: number;
  /** Reads every event as soon as possible, however many come. */
  readonly isHurried: boolean;
  /** Called with the bytes of one read, valid until it returns. */
  readonly onEvents: (bytes: Buffer, times: ReadTimes) => void;
  readonly onFailed: (detail: string) => void;
  /** Called after the last read: the group may be closed. */
  readonly onStopped: () => void;
}

/** Milliseconds on the monotonic clock. */
export interface ReadTimes {
  /** Start of the read. */
  readonly readAt: number;
  /** When the kernel's queue was last known to be empty: every event that is read now came later. */
  readonly queueEmpty: number;
}

const bufferSize = 64 * 1024;

/*
 * Waking a thread for each event, or reading each event alone, costs more than the event, also for the process that
 * caused it. After this many reads in a window (milliseconds) the reader lets the queue gather until it is once
 * empty, which merges like events.
 */
const readsPerWindow = 30;
const window = 100;
const gathering = 10;
/** Buffers that `drain` reads at most: under a flood the queue need not ever be empty. */
const mostAtOnce = 16;

/** Waits for events and reads them. Unread events wait, and merge, in the kernel's queue. */
export class EventReader {
  readonly #options: ReaderOptions;
  readonly #buffer = Buffer.allocUnsafeSlow(bufferSize);
  readonly #waiter: Waiter;
  #queueEmpty = monotonic();
  #windowEnds = 0;
  #reads = 0;
  #isStopping = false;
  #isStopped = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#waiter = new Waiter(options.groupFd, "readable");
    this.#wait();
  }

  /** Takes effect at once; `onStopped` follows. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    this.#waiter.wake();
  }

  /** Reads the kernel's queue now, until it is empty. */
  drain(): void {
    for (let reads = 0; reads < mostAtOnce && !this.#isStopping; reads += 1) {
      // The next read in turn meets a failure again.
      if (this.#readOnce() <= 0) return;
    }
  }

  #wait(): void {
    this.#waiter.wait((outcome) => {
      if (this.#isStopping) this.#end();
      else if (outcome === undefined) this.#fail("poll");
      else this.#read();
    });
  }

  /** One buffer, then other work's turn. */
  #read(): void {
    if (this.#isStopping) {
      this.#end();
      return;
    }
    const size = this.#readOnce();
    if (size > 0) {
      // No event is half a buffer long: the queue was empty.
      if (size < bufferSize / 2) this.#rest();
      else setImmediate(() => this.#read());
    } else if (size === -os.errno.EAGAIN || size === -os.errno.EINTR) this.#relax();
    else this.#fail(`read: ${errnoName(-size)}`);
  }

  /** The size of what was read, or minus errno. */
  #readOnce(): number {
    const readAt = monotonic();
    const queueEmpty = this.#queueEmpty;
    const size = readEvents(this.#options.groupFd, this.#buffer);
    // A read that leaves room took everything that waited at its start.
    if (size === -os.errno.EAGAIN || (size >= 0 && size < bufferSize / 2))
      this.#queueEmpty = readAt;
    if (size > 0) this.#options.onEvents(this.#buffer.subarray(0, size), { readAt, queueEmpty });
    return size;
  }

  #rest(): void {
    if (this.#isFlooded()) setTimeout(() => this.#read(), gathering);
    else this.#wait();
  }

  #isFlooded(): boolean {
    if (this.#options.isHurried) return false;
    const now = performance.now();
    if (now > this.#windowEnds && this.#reads <= readsPerWindow) {
      this.#windowEnds = now + window;
      this.#reads = 0;
    }
    this.#reads += 1;
    return this.#reads > readsPerWindow;
  }

  #relax(): void {
    this.#reads = 0;
    this.#wait();
  }

  #fail(detail: string): void {
    this.#options.onFailed(detail);
    this.#isStopping = true;
    this.#end();
  }

  #end(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#waiter[Symbol.dispose]();
    this.#options.onStopped();
  }
}

/** The clock of the exec history. */
function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
