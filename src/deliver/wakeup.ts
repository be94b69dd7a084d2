/** Where a delivery loop waits: for the bell when there is nothing to send, for the time when it must not. */
export class Pace {
  #rung = false;
  #waiting: (() => void) | undefined;

  /** Something new is queued. Costs nothing when the loop is busy, and is never lost. */
  wake(): void {
    this.#rung = true;
    this.#waiting?.();
  }

  /** Ends when the bell is rung (also when that was before the call) or the signal aborts. No timer. */
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

  /** Ends after so many milliseconds or when the signal aborts. The bell does not hurry it. */
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
