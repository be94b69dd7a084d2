import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * Single values that prove a signature is fresh. Each holds its time and is authenticated with a secret that the
 * collectors of one store share, so that none has to be kept.
 */
export class Nonces {
  readonly #secret: Buffer;
  readonly #clock: () => number;
  #last = 0;

  /** The clock gives milliseconds since 1970. */
  constructor(secret: Buffer, clock: () => number) {
    this.#secret = secret;
    this.#clock = clock;
  }

  /** Later ones have later times. */
  make(): string {
    this.#last = Math.max(Math.floor(this.#clock()), this.#last + 1);
    const head = Buffer.alloc(16);
    head.writeBigUInt64BE(BigInt(this.#last));
    randomBytes(8).copy(head, 8);
    return Buffer.concat([head, this.#mac(head)]).toString("base64url");
  }

  /** When it was made, milliseconds since 1970. Undefined: it is not ours. */
  timeOf(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce.slice(0, 128), "base64url");
    if (bytes.length !== 48) return undefined;
    const head = bytes.subarray(0, 16);
    if (!timingSafeEqual(bytes.subarray(16), this.#mac(head))) return undefined;
    return Number(head.readBigUInt64BE());
  }

  /** It is ours and at most this many milliseconds old. */
  isFresh(nonce: string, age: number): boolean {
    const made = this.timeOf(nonce);
    return made !== undefined && Math.abs(this.#clock() - made) <= age;
  }

  #mac(head: Buffer): Buffer {
    return createHmac("sha256", this.#secret).update(head).digest();
  }
}
