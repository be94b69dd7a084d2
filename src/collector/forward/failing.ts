import type { Outcome } from "../../core/backoff.ts";

/** Milliseconds after which a sink that fails is reported. */
const patience = 60_000;

interface Failure {
  readonly since: number;
  readonly isReported: boolean;
}

/** The sinks that fail, and for how long. */
export class Failing {
  readonly #failures = new Map<string, Failure>();

  /** The result of a request, at a time in milliseconds, and of the next one. Returns what is to be reported. */
  note(
    sink: string,
    outcome: Outcome["kind"],
    { now, delay = 0 }: { readonly now: number; readonly delay?: number },
  ): "begun" | "over" | undefined {
    const known = this.#failures.get(sink);
    if (outcome === "delivered") {
      this.#failures.delete(sink);
      return known?.isReported ? "over" : undefined;
    }
    // A clock that was set back must not silence it.
    const since = Math.min(known?.since ?? now, now);
    // After a 410 no further request is made.
    const isLong = outcome === "disabled" || now + delay - since >= patience;
    const isNew = isLong && known?.isReported !== true;
    this.#failures.set(sink, { since, isReported: isLong || known?.isReported === true });
    return isNew ? "begun" : undefined;
  }
}
