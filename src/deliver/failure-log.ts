/** Milliseconds between two lines about the same failure of a sink. */
const every = 60_000;

/** Chooses which failed attempts are worth a line in the log: the first of each reason, then one a minute. */
export class FailureLog {
  readonly #last = new Map<string, { readonly why: string; readonly at: number }>();

  /** `now` in milliseconds of a steady clock. */
  isNews(sink: string, why: string, now: number): boolean {
    const last = this.#last.get(sink);
    if (last?.why === why && now - last.at < every) return false;
    this.#last.set(sink, { why, at: now });
    return true;
  }

  /** The sink delivered: its next failure is news. */
  over(sink: string): void {
    this.#last.delete(sink);
  }
}
