import { Buffer } from "node:buffer";
import { checked, declare } from "./libc.ts";

/** linux/time.h */
const CLOCK_REALTIME_COARSE = 5;

/** Milliseconds between two ticks of the kernel, the resolution of change times (clock_getres(2)). */
export function tickLength(): number {
  const getResolution = declare<(clock: number, time: Buffer) => number>(
    "int clock_getres(int, void *)",
  );
  const time = Buffer.alloc(16);
  checked(getResolution(CLOCK_REALTIME_COARSE, time), "clock_getres", "");
  return Number(time.readBigInt64LE(0)) * 1000 + Number(time.readBigInt64LE(8)) / 1e6;
}
