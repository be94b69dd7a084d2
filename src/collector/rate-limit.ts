interface Bucket {
  readonly tokens: number;
  /** Milliseconds of the clock. */
  readonly at: number;
}

/** Names that are remembered; the longest unused one is forgotten first. */
const mostNames = 50_000;

/** A token bucket for each name: a burst at once, a rate for good. */
export class RateLimit {
  readonly #rate: { readonly burst: number; readonly perSecond: number };
  readonly #clock: () => number;
  readonly #buckets = new Map<string, Bucket>();

  /** The clock gives milliseconds and never goes back. */
  constructor(
    rate: { readonly burst: number; readonly perSecond: number },
    clock: () => number = () => performance.now(),
  ) {
    this.#rate = rate;
    this.#clock = clock;
  }

  /** Takes this many tokens, even if fewer are left but one. Returns milliseconds to wait; 0: go on. */
  take(name: string, count: number): number {
    const now = this.#clock();
    const { burst, perSecond } = this.#rate;
    const known = this.#buckets.get(name) ?? { tokens: burst, at: now };
    const tokens = Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond);
    if (tokens < 1) return Math.ceil(((1 - tokens) / perSecond) * 1000);
    this.#buckets.delete(name);
    this.#buckets.set(name, { tokens: tokens - count, at: now });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > mostNames && oldest !== undefined) this.#buckets.delete(oldest);
    return 0;
  }
}
