/** Time as `watch` needs it, so that tests can hold it still. */
export interface Clock {
  /** Milliseconds, never going back; only differences mean anything. */
  now(): number;
  /** Runs later, 0 meaning as soon as what is already queued has been handled. The answer cancels it. */
  after(milliseconds: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(milliseconds, run) {
    if (milliseconds <= 0) {
      const immediate = setImmediate(run);
      return () => clearImmediate(immediate);
    }
    const timeout = setTimeout(run, milliseconds);
    return () => clearTimeout(timeout);
  },
};
