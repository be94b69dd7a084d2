import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { IntegrityError, isBusy } from "../../core/error.ts";

/** Bytes of a request, also uncompressed. An agent sends 2 MiB and one record. */
export const mostBytes: number = 8 * 2 ** 20;
/** Bytes of all requests that the collector has in memory at once, as they arrived and uncompressed. */
const mostHeld = 64 * 2 ** 20;

/** Records shrink to about a tenth. */
const usualRatio = 10;
/** Bytes of a piece of the result: each piece costs a turn of the event loop, and several are copied together. */
const piece = { least: 16 * 1024, most: 3 * 2 ** 20 };

export type Body =
  | { readonly bytes: Buffer }
  | { readonly status: number; readonly problem: string };

/**
 * Counts the bytes of the requests in memory. When there is no room, the largest body that is still arriving or being
 * uncompressed is cut off: what an agent sends is small and soon there, what a stranger holds open is not.
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
        .filter((one) => one !== asking && one.isGrowing && one.bytes > asking.bytes)
        .toSorted((one, other) => other.bytes - one.bytes);
      if (!largest) throw tooMany();
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
  #cut: (() => void) | undefined;
  #bytes = 0;

  constructor(intake: Intake) {
    this.#intake = intake;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isGrowing(): boolean {
    return this.#cut !== undefined;
  }

  /** Reads a request's body. Throws STATE_BUSY when other requests hold the memory. */
  async read(stream: Readable): Promise<Body> {
    const chunks: Buffer[] = [];
    this.#cut = () => stream.destroy();
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
      this.#cut = undefined;
    }
    return { bytes: Buffer.concat(chunks) };
  }

  /** Ends a body that is still arriving, with its connection, or one that is being uncompressed, with STATE_BUSY. */
  cutOff(): void {
    this.#cut?.();
    this.#cut = undefined;
    this.#bytes = 0;
  }

  /** Uncompresses a body by its `content-encoding`, each piece only if there is room. Throws STATE_BUSY as `read` does. */
  async uncompress(body: Buffer, encoding: string | undefined): Promise<Body> {
    if (encoding === undefined || encoding === "identity") return { bytes: body };
    if (encoding !== "gzip") return { status: 415, problem: "expected gzip or no encoding" };
    // Held before it is known how much it is: many that wait are many in memory.
    const chunkSize = Math.min(piece.most, Math.max(piece.least, claimedSize(body) + 1));
    let room = Math.min(mostBytes, Math.max(chunkSize, body.length * usualRatio));
    this.#add(room);
    const gunzip = createGunzip({ chunkSize });
    this.#cut = () => gunzip.destroy(tooMany());
    gunzip.end(body);
    const pieces: Buffer[] = [];
    let size = 0;
    try {
      for await (const one of gunzip as AsyncIterable<Buffer>) {
        size += one.length;
        if (size > mostBytes) return tooLarge;
        this.#add(Math.max(0, size - room));
        room = Math.max(room, size);
        pieces.push(one);
      }
    } catch (error) {
      if (isBusy(error)) throw error;
      return { status: 400, problem: "the body is no gzip" };
    } finally {
      this.#cut = undefined;
    }
    const [only, ...others] = pieces;
    return { bytes: only && others.length === 0 ? only : Buffer.concat(pieces, size) };
  }

  [Symbol.dispose](): void {
    this.#intake.end(this);
  }

  #add(bytes: number): void {
    this.#intake.makeRoom(bytes, this);
    this.#bytes += bytes;
  }
}

function tooMany(): IntegrityError {
  return new IntegrityError("STATE_BUSY", "intake: too many requests at once");
}

/** Bytes of what a gzip body says that it holds (RFC 1952 §2.3.1, ISIZE). Any number, if it is none. */
function claimedSize(body: Buffer): number {
  return body.length < 4 ? 0 : body.readUInt32LE(body.length - 4);
}

const tooLarge = {
  status: 413,
  problem: `expected at most ${mostBytes} bytes, also uncompressed`,
} as const;
