/** The agent's own alerts and events kept in memory; what comes later is counted. */
const mostWaiting = 10_000;
/** Milliseconds before a failed write is tried again. */
const retryAfter = 200;

interface NoticesOptions {
  /** Called with the error of a write that failed. */
  readonly onFailed: (error: unknown) => void;
  /** Called after a retry has stored everything. */
  readonly onStored: () => void;
  /** Stores how many writes were given up. */
  readonly giveUp: (count: number) => void;
}

/** The agent's own alerts and events, stored in order. One that cannot be stored now waits and is tried again. */
export class Notices implements Disposable {
  readonly #options: NoticesOptions;
  readonly #waiting: (() => void)[] = [];
  #givenUp = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: NoticesOptions) {
    this.#options = options;
  }

  /** `write` throws when it cannot store. */
  store(write: () => void): void {
    if (this.#waiting.length >= mostWaiting) {
      this.#givenUp += 1;
      return;
    }
    this.#waiting.push(write);
    if (this.#waiting.length === 1) this.retry();
  }

  retry(): void {
    try {
      for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
        next();
        this.#waiting.shift();
      }
      this.#storeGivenUp();
    } catch (error) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.retry(), retryAfter);
      this.#timer.unref();
      this.#options.onFailed(error);
      return;
    }
    this.#options.onStored();
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #storeGivenUp(): void {
    if (this.#givenUp === 0) return;
    this.#options.giveUp(this.#givenUp);
    this.#givenUp = 0;
  }
}
