import { defaultLimits } from "../core/backoff.ts";
import type { Limits } from "../core/backoff.ts";
import type { SinkState } from "../core/record/queued.ts";
import type { Wakeup } from "./wakeup.ts";

interface Waiting {
  readonly name: string;
  readonly queue: {
    defer(sink: string, attempts: number, nextAt: number): void | Promise<void>;
  };
  readonly wakeup: Wakeup;
  /** Milliseconds since 1970. */
  readonly clock: () => number;
  readonly limits?: Limits;
}

/** Milliseconds by which a clock may be corrected without a new time being stored. */
const correction = 1000;

/**
 * Waits until the stored time of a sink's next attempt. True: it waited, and the state may have changed. A stored time
 * later than we could have stored, or one that is still ahead after the wait, is forgotten: a clock that is set back
 * must not silence a sink.
 */
export async function awaitTurn(
  sink: Waiting,
  state: Pick<SinkState, "attempts" | "nextAt"> | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const { name, queue, wakeup, clock } = sink;
  const { cap, retryAfterCap, base } = sink.limits ?? defaultLimits;
  const { attempts, nextAt } = state ?? { attempts: 0, nextAt: 0 };
  const wait = nextAt - clock();
  if (wait <= 0) return false;
  const isStorable = wait <= Math.max(cap, retryAfterCap + base);
  if (isStorable) await wakeup.pause(wait, signal);
  if (!signal.aborted && nextAt - clock() > correction) await queue.defer(name, attempts, clock());
  return isStorable;
}
