import { setTimeout as pause } from "node:timers/promises";

type Maybe<Value> = Value | undefined | false;

/** Awaits a condition: its first value that is not undefined or false. Throws when the deadline (ms) passes. */
export async function until<Value>(
  condition: () => Maybe<Value> | Promise<Maybe<Value>>,
  deadline = 10_000,
): Promise<Value> {
  const end = performance.now() + deadline;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) {
      throw new Error(`not so within ${deadline} ms: ${condition.toString()}`);
    }
    await pause(5);
  }
}

/** The promise's value, or an error that names what did not come within the deadline (ms). */
export async function within<Value>(
  promise: Promise<Value>,
  deadline: number,
  what: string,
): Promise<Value> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what}: not within ${deadline} ms`)), deadline);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
