/** How one delivery attempt ended on the network. */
export type Answer =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly retryAfter?: string;
      /** Plain HTTP from another host: anyone on the network can forge it. */
      readonly isForgeable?: true;
      /** The beginning of the answer's text, for formats that read it. Hostile. */
      readonly body?: string;
    }
  /** Given to the network; the receiver confirms nothing. */
  | { readonly kind: "sent" }
  | { readonly kind: "network"; readonly detail: string }
  | { readonly kind: "timeout"; readonly detail: string };

export type StatusAnswer = Extract<Answer, { kind: "status" }>;

/** Records that the receiver will never take, and why. */
export interface Refusal {
  readonly count: number;
  readonly why: string;
}

/** What an answer means for the records of a request. */
export type Outcome =
  /** Done with all of them; some may be refused. */
  | { readonly kind: "delivered"; readonly refused?: Refusal }
  /** Done with the first ones; the others are sent again. */
  | {
      readonly kind: "partial";
      readonly settled: number;
      readonly refused?: Refusal;
      readonly why: string;
      readonly afterMs?: number;
    }
  /** The receiver takes requests, but never this one: send fewer at once; give up a single one after some attempts. */
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "retry"; readonly why: string; readonly afterMs?: number }
  /** The receiver refuses this request: retry slowly and report. */
  | { readonly kind: "rejected"; readonly why: string; readonly afterMs?: number }
  | { readonly kind: "disabled"; readonly why: string };

/** An outcome after which something is sent again. */
export type Failure = Extract<Outcome, { kind: "retry" | "rejected" | "partial" | "refused" }>;

/** Milliseconds. */
export interface Limits {
  readonly base: number;
  readonly cap: number;
  /** The longest wait that a receiver may ask for. */
  readonly retryAfterCap: number;
}

export const defaultLimits: Limits = { base: 1000, cap: 60_000, retryAfterCap: 3_600_000 };

/** After this many failures in a row a sink counts as broken, and each attempt is a probe. */
export const brokenAfter = 5;

/** Full jitter: a random share of min(cap, base * 2^n), where n = 0 for the first failure. */
export function nextDelay(failures: number, random: number, limits: Limits): number {
  const steps = Math.min(Math.max(failures - 1, 0), 52);
  return Math.floor(clampShare(random) * Math.min(limits.cap, limits.base * 2 ** steps));
}

/** How long to wait after this many failures in a row, the last with this outcome. */
export function delayAfter(
  outcome: Failure,
  failures: number,
  chance: { readonly random: number; readonly limits: Limits },
): number {
  const { random, limits } = chance;
  const asked =
    outcome.kind === "refused" ? 0 : Math.min(outcome.afterMs ?? 0, limits.retryAfterCap);
  // Adds some jitter, so that not every sink returns at the same moment.
  if (asked >= limits.base && asked > 0) return asked + nextDelay(1, random, limits);
  const haste = outcome.kind === "rejected" || outcome.kind === "refused" ? 2 : 0;
  // "At once" does not end the backoff of a receiver that goes on failing.
  return Math.max(asked, nextDelay(failures + haste, random, limits));
}

/** What an answer means by its status alone. The clock (milliseconds since 1970) is for a Retry-After with a date. */
export function classify(answer: Answer, now: number): Outcome {
  if (answer.kind === "sent") return { kind: "delivered" };
  if (answer.kind !== "status") return { kind: "retry", why: `${answer.kind}: ${answer.detail}` };
  const { status } = answer;
  if (status >= 200 && status < 300) return { kind: "delivered" };
  const why = `status ${status}`;
  if (status === 410)
    return answer.isForgeable
      ? { kind: "rejected", why: `${why} over plain http, not believed` }
      : { kind: "disabled", why };
  const kind = isPassing(status) ? "retry" : "rejected";
  const afterMs = parseRetryAfter(answer.retryAfter, now);
  return afterMs === undefined ? { kind, why } : { kind, why, afterMs };
}

/** RFC 9110 §10.2.3: whole seconds or an HTTP date -> milliseconds from now, never negative. */
export function parseRetryAfter(text: string | undefined, now: number): number | undefined {
  const value = text?.trim() ?? "";
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  // RFC 9110 §5.6.7, the one form that a sender may still generate.
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) {
    return undefined;
  }
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

/** Statuses that say "not now", not "not this". */
function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

function clampShare(random: number): number {
  return Number.isFinite(random) ? Math.min(Math.max(random, 0), 1) : 1;
}
