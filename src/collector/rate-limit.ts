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
    const wait = this.wait(name);
    if (wait === 0) this.charge(name, count);
    return wait;
  }

  /** Milliseconds until a token is there; 0: one is. */
  wait(name: string): number {
    const tokens = this.#tokens(name, this.#clock());
    return tokens < 1 ? Math.ceil(((1 - tokens) / this.#rate.perSecond) * 1000) : 0;
  }

  /** Takes this many tokens, however few are left. */
  charge(name: string, count: number): void {
    const now = this.#clock();
    const tokens = this.#tokens(name, now) - count;
    this.#buckets.delete(name);
    this.#buckets.set(name, { tokens, at: now });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > mostNames && oldest !== undefined) this.#buckets.delete(oldest);
  }

  #tokens(name: string, now: number): number {
    const { burst, perSecond } = this.#rate;
    const known = this.#buckets.get(name);
    if (!known) return burst;
    return Math.min(burst, known.tokens + ((now - known.at) / 1000) * perSecond);
  }
}
