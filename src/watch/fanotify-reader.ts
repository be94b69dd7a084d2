import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";
import { constants as os } from "node:os";
import { Readable, openWakeUp, readEvents } from "../linux/fanotify.ts";
import { close } from "../linux/files.ts";
import { errnoName } from "../linux/libc.ts";

export interface ReaderOptions {
  readonly groupFd: number;
  /** What one read gave; the bytes hold until it returns. */
  readonly onEvents: (bytes: Buffer) => void;
  readonly onFailed: (detail: string) => void;
  /** Nothing is read any more: the group may be closed. */
  readonly onStopped: () => void;
}

const bufferSize = 64 * 1024;
/** Milliseconds: a process that exits without stopping waits no longer than this. */
const longestWait = 1000;

/**
 * Waits for events in a thread of libuv's pool, which costs next to no memory (a worker thread costs 19 MB), and
 * reads them here. What cannot be taken yet waits in the kernel's queue, where it is merged.
 */
export class EventReader {
  readonly #options: ReaderOptions;
  readonly #wakeFd = openWakeUp();
  readonly #buffer = Buffer.allocUnsafeSlow(bufferSize);
  readonly #readable: Readable;
  #isStopping = false;
  #isStopped = false;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#readable = new Readable(options.groupFd, this.#wakeFd);
    this.#wait();
  }

  /** Takes effect at once; `onStopped` follows. */
  stop(): void {
    if (this.#isStopping) return;
    this.#isStopping = true;
    // struct eventfd: one u64 that is added.
    writeSync(this.#wakeFd, Buffer.of(1, 0, 0, 0, 0, 0, 0, 0));
  }

  #wait(): void {
    this.#readable.wait(longestWait, (ready) => {
      if (this.#isStopping) this.#end();
      else if (!ready) this.#fail("poll");
      else if (ready[0]) this.#read();
      else this.#wait();
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
    } else if (size === -os.errno.EAGAIN || size === -os.errno.EINTR) this.#wait();
    else this.#fail(`read: ${errnoName(-size)}`);
  }

  #fail(detail: string): void {
    this.#options.onFailed(detail);
    this.#isStopping = true;
    this.#end();
  }

  #end(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    close(this.#wakeFd);
    this.#options.onStopped();
  }
}
