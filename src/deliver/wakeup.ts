/** Where a delivery loop waits: for a new record, or for the end of a pause. */
export class Wakeup {
  #rung = false;
  #waiting: (() => void) | undefined;

  /** A record was queued. Costs nothing while the loop is busy, and is never lost. */
  wake(): void {
    this.#rung = true;
    this.#waiting?.();
  }

  /** Ends after a wake (also one before the call) or when the signal aborts. Needs no timer. */
  async idle(signal: AbortSignal): Promise<void> {
    if (!this.#rung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = () => {
          signal.removeEventListener("abort", end);
          resolve();
        };
        this.#waiting = end;
        signal.addEventListener("abort", end, { once: true });
      });
    }
    this.#waiting = undefined;
    this.#rung = false;
  }

  /** Ends after this many milliseconds or when the signal aborts. A wake does not shorten it. */
  async pause(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted || ms <= 0) return;
    await new Promise<void>((resolve) => {
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal.addEventListener("abort", end, { once: true });
    });
  }
}
