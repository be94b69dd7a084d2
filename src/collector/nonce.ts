import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Milliseconds by which many nonces at once may be ahead of the clock. */
const burst = 1000;

/**
 * Single values that prove a signature is fresh. Each holds its time and is authenticated with a secret that the
 * collectors of one store share, so that none has to be kept.
 */
export class Nonces {
  readonly #secret: Buffer;
  readonly #clock: () => number;
  /** The newest time of a nonce that was made or seen. */
  #last = 0;
  /** Milliseconds by which nonces are ahead of the clock, since it was set back. */
  #ahead = 0;

  /** The clock gives milliseconds since 1970. */
  constructor(secret: Buffer, clock: () => number) {
    this.#secret = secret;
    this.#clock = clock;
  }

  /** Later ones have later times. */
  make(): string {
    this.#last = Math.max(this.#now(), this.#last + 1);
    const head = Buffer.alloc(16);
    head.writeBigUInt64BE(BigInt(this.#last));
    randomBytes(8).copy(head, 8);
    return Buffer.concat([head, this.#mac(head)]).toString("base64url");
  }

  /** When it was made, milliseconds since 1970. Undefined: it is not ours. Later ones are made later than this one. */
  timeOf(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce.slice(0, 128), "base64url");
    if (bytes.length !== 48) return undefined;
    const head = bytes.subarray(0, 16);
    if (!timingSafeEqual(bytes.subarray(16), this.#mac(head))) return undefined;
    const made = Number(head.readBigUInt64BE());
    this.#last = Math.max(this.#last, made);
    return made;
  }

  /** It is ours and at most this many milliseconds old. */
  isFresh(nonce: string, age: number): boolean {
    const made = this.timeOf(nonce);
    return made !== undefined && this.#now() - made <= age;
  }

  /** The clock's time, or, since it was set back, the newest nonce's time and what has passed since. */
  #now(): number {
    const now = Math.floor(this.#clock());
    if (this.#last > now + this.#ahead + burst) this.#ahead = this.#last - now;
    return now + this.#ahead;
  }

  #mac(head: Buffer): Buffer {
    return createHmac("sha256", this.#secret).update(head).digest();
  }
}
