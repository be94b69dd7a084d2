import { setTimeout as pause } from "node:timers/promises";
import { isBusy } from "../core/error.ts";
import { transact } from "../sqlite/open.ts";
import type { AgentContext } from "./context.ts";

type Waiting = Pick<AgentContext, "state" | "health" | "signal">;

const askEvery = 100;

/** Repeats work that finds the database locked by another process. Undefined: the signal aborted. */
export async function whenUnlocked<T>(
  waiting: Waiting,
  work: () => T | Promise<T>,
): Promise<T | undefined> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error)) throw error;
      await untilUnlocked(waiting);
      if (waiting.signal.aborted) return undefined;
    }
  }
}

/** Waits until no other process holds the database's lock, without blocking the event loop. */
export async function untilUnlocked({ state, health, signal }: Waiting): Promise<void> {
  while (!signal.aborted) {
    try {
      transact(state.db, () => undefined);
      return health.unlocked();
    } catch (error) {
      if (!isBusy(error)) return;
      health.locked(error.message);
    }
    await pause(askEvery, undefined, { signal }).catch(() => undefined);
  }
}
