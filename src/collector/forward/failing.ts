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

  /** The result of a request, at a time in milliseconds. Returns what is to be reported. */
  note(sink: string, outcome: Outcome["kind"], now: number): "begun" | "over" | undefined {
    const known = this.#failures.get(sink);
    if (outcome === "delivered") {
      this.#failures.delete(sink);
      return known?.isReported ? "over" : undefined;
    }
    const since = known?.since ?? now;
    // After a 410 no further request is made.
    const isLong = outcome === "disabled" || now - since >= patience;
    const isNew = isLong && known?.isReported !== true;
    this.#failures.set(sink, { since, isReported: isLong || known?.isReported === true });
    return isNew ? "begun" : undefined;
  }
}
