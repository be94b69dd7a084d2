import { Buffer } from "node:buffer";

/** The last UUID of a series: its milliseconds and its number within them. */
export interface UuidClock {
  readonly at: number;
  readonly count: number;
}

const mostInMillisecond = 0xfff;

/** The next step of a series that only rises, also within a millisecond and when the clock goes back. */
export function nextUuidClock(last: UuidClock | undefined, now: number): UuidClock {
  const at = Math.floor(now);
  if (!last || at > last.at) return { at, count: 0 };
  if (last.count < mostInMillisecond) return { at: last.at, count: last.count + 1 };
  return { at: last.at + 1, count: 0 };
}

/**
 * A version 7 UUID (RFC 9562 §5.7): milliseconds since 1970, a counter of twelve bits (§6.2, method 1), and 62 of the 64
 * random bits given.
 */
export function uuidv7({ at, count }: UuidClock, random: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(at, 0, 6);
  bytes.writeUInt16BE(0x7000 | count, 6);
  bytes.set(random.subarray(0, 8), 8);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}
