import { Buffer } from "node:buffer";
import { constants as os } from "node:os";
import { readEvents } from "../linux/fanotify.ts";
import { errnoName } from "../linux/libc.ts";
import { Waiter } from "../linux/poll.ts";

export interface ReaderOptions {
  readonly groupFd: number;
  /** What one read gave; the bytes hold until it returns. */
  readonly onEvents: (bytes: Buffer) => void;
  readonly onFailed: (detail: string) => void;
  /** Nothing is read any more: the group may be closed. */
  readonly onStopped: () => void;
}

const bufferSize = 64 * 1024;

/*
 * To wake a thread for each event costs the process that caused it more than the event does. Past so many reads in a
 * window (milliseconds), the queue is left to gather, which costs nobody anything and merges what is alike.
 */
const readsPerWindow = 30;
const window = 100;
const gathering = 10;

/** Waits for events and reads them. What cannot be taken yet waits in the kernel's queue, where it is merged. */
export class EventReader {
  readonly #options: ReaderOptions;
  readonly #buffer = Buffer.allocUnsafeSlow(bufferSize);
  readonly #waiter: Waiter;
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

  #wait(): void {
    this.#waiter.wait((outcome) => {
      if (this.#isStopping) this.#end();
      else if (outcome === undefined) this.#fail("poll");
      else this.#read();
    });
  }

  /** One buffer, then everybody else's turn. */
  #read(): void {
    if (this.#isStopping) {
      this.#end();
      return;
    }
    const size = readEvents(this.#options.groupFd, this.#buffer);
    if (size > 0) {
      this.#options.onEvents(this.#buffer.subarray(0, size));
      setImmediate(() => this.#read());
    } else if (size === -os.errno.EAGAIN || size === -os.errno.EINTR) this.#rest();
    else this.#fail(`read: ${errnoName(-size)}`);
  }

  #rest(): void {
    const now = performance.now();
    if (now > this.#windowEnds) {
      this.#windowEnds = now + window;
      this.#reads = 0;
    }
    this.#reads += 1;
    if (this.#reads > readsPerWindow) setTimeout(() => this.#wait(), gathering);
    else this.#wait();
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
