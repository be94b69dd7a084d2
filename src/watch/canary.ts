import { messageOf } from "../core/error.ts";
import { setTimeout as sleep } from "node:timers/promises";
import type { Probe } from "./selftest.ts";

interface CanaryOptions {
  readonly probe: Probe;
  /** Milliseconds between two canaries. */
  readonly every: number;
  /** Milliseconds within which a hint must have come. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/**
 * Repeats a known write while an engine runs. Resolves with the reason after two misses in a row (one can be a busy
 * node), or with undefined when the signal aborts.
 */
export async function watchCanary(options: CanaryOptions): Promise<string | undefined> {
  const { probe, every, deadline, signal } = options;
  let misses = 0;
  while (!signal.aborted) {
    try {
      await sleep(misses > 0 ? 0 : every, undefined, { signal, ref: false });
    } catch {
      return undefined;
    }
    const missed = await miss(probe, deadline);
    if (signal.aborted) return undefined;
    misses = missed === undefined ? 0 : misses + 1;
    if (misses === 2) return missed;
  }
  return undefined;
}

async function miss(probe: Probe, deadline: number): Promise<string | undefined> {
  try {
    const isSeen = await probe.canary(deadline);
    return isSeen ? undefined : `canary: a write was not reported within ${deadline} ms`;
  } catch (error) {
    // A probe that cannot be written proves nothing.
    return `canary: ${messageOf(error)}`;
  }
}
