import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { IntegrityError, isBusy } from "../../core/error.ts";

/** Bytes of a request, also uncompressed. An agent sends 2 MiB and one record. */
export const mostBytes: number = 8 * 2 ** 20;
/** Bytes of all requests that the collector has in memory at once, as they arrived and uncompressed. */
const mostHeld = 64 * 2 ** 20;

/** Records shrink to about a tenth. Each piece of the result costs a turn of the event loop. */
const usualRatio = 10;
const chunk = { least: 16 * 1024, most: 2 ** 20 };

const unzip = promisify<Buffer, { maxOutputLength: number; chunkSize: number }, Buffer>(gunzip);

export type Body =
  | { readonly bytes: Buffer }
  | { readonly status: number; readonly problem: string };

/**
 * Counts the bytes of the requests in memory. When there is no room, the largest body that is still arriving is cut
 * off: what an agent sends is small and soon there, what a stranger holds open is not.
 */
export class Intake {
  readonly #open = new Set<Held>();

  /** Holds what a request takes, until it is disposed. */
  begin(): Held {
    const held = new Held(this);
    this.#open.add(held);
    return held;
  }

  /** Makes room for more bytes of a request. Throws STATE_BUSY when there is none. */
  makeRoom(bytes: number, asking: Held): void {
    while (this.#sum() + bytes > mostHeld) {
      const [largest] = [...this.#open]
        .filter((one) => one !== asking && one.isArriving && one.bytes > asking.bytes)
        .toSorted((one, other) => other.bytes - one.bytes);
      if (!largest) throw new IntegrityError("STATE_BUSY", "intake: too many requests at once");
      largest.cutOff();
    }
  }

  end(held: Held): void {
    this.#open.delete(held);
  }

  #sum(): number {
    return [...this.#open].reduce((sum, { bytes }) => sum + bytes, 0);
  }
}

/** The bytes in memory of one request. */
export class Held implements Disposable {
  readonly #intake: Intake;
  #arriving: Readable | undefined;
  #bytes = 0;

  constructor(intake: Intake) {
    this.#intake = intake;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isArriving(): boolean {
    return this.#arriving !== undefined;
  }

  /** Reads a request's body. Throws STATE_BUSY when other requests hold the memory. */
  async read(stream: Readable): Promise<Body> {
    const chunks: Buffer[] = [];
    this.#arriving = stream;
    try {
      for await (const part of stream as AsyncIterable<Buffer>) {
        if (this.#bytes + part.length > mostBytes) return tooLarge;
        this.#add(part.length);
        chunks.push(part);
      }
    } catch (error) {
      if (isBusy(error)) throw error;
      return { status: 400, problem: "the body was cut off" };
    } finally {
      this.#arriving = undefined;
    }
    return { bytes: Buffer.concat(chunks) };
  }

  /** Ends a body that is still arriving, with its connection. */
  cutOff(): void {
    this.#arriving?.destroy();
    this.#arriving = undefined;
    this.#bytes = 0;
  }

  /** Uncompresses a body by its `content-encoding`. Throws STATE_BUSY as `read` does. */
  async uncompress(body: Buffer, encoding: string | undefined): Promise<Body> {
    if (encoding === undefined || encoding === "identity") return { bytes: body };
    if (encoding !== "gzip") return { status: 415, problem: "expected gzip or no encoding" };
    // Held before it is known how much it is: many that wait are many in memory.
    this.#add(Math.min(mostBytes, body.length * usualRatio));
    const chunkSize = Math.min(chunk.most, Math.max(chunk.least, body.length * usualRatio));
    try {
      return { bytes: await unzip(body, { maxOutputLength: mostBytes, chunkSize }) };
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
        ? tooLarge
        : { status: 400, problem: "the body is no gzip" };
    }
  }

  [Symbol.dispose](): void {
    this.#intake.end(this);
  }

  #add(bytes: number): void {
    this.#intake.makeRoom(bytes, this);
    this.#bytes += bytes;
  }
}

const tooLarge = {
  status: 413,
  problem: `expected at most ${mostBytes} bytes, also uncompressed`,
} as const;
