import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../core/error.ts";
import { printSize } from "../core/duration.ts";
import { present } from "../core/present.ts";
import type { Feed } from "./feed.ts";
import type { Collector } from "./ingest/receive.ts";
import { ownCluster } from "./own-chain.ts";
import { dayLength, dayOf } from "./store/days.ts";

/** How long records are kept. Neither: forever. */
export interface Keep {
  readonly days?: number;
  /** Of the store on disk. */
  readonly bytes?: number;
}

interface RetentionOptions {
  readonly collector: Collector;
  readonly feed: Feed;
  readonly log: Logger;
  readonly keep: Keep;
  /** The collector's name. */
  readonly name: string;
  /** Sinks that still have to deliver alerts up to this number. */
  readonly behind: (alertId: number) => Promise<readonly string[]>;
}

const hour = 3_600_000;
/** Days that a day which is too old stays for sinks that still have to deliver it. */
const patience = 7;

/** Deletes the oldest days, at the start and then each hour, and records each in the collector's own chain. */
export class Retention implements AsyncDisposable {
  readonly #options: RetentionOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { keep, log, ...options } = this.#options;
    const { signal } = this.#stop;
    if (keep.days === undefined && keep.bytes === undefined) return;
    while (!signal.aborted) {
      try {
        while (!signal.aborted && (await dropOldest({ keep, log, ...options })));
      } catch (error) {
        log.error({ reason: messageOf(error) }, "old records could not be deleted");
      }
      await setTimeout(hour, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

/** Deletes the oldest day, if it is due. The record of it comes first: what is deleted is never unexplained. */
export async function dropOldest(options: RetentionOptions): Promise<boolean> {
  const { collector, keep, name, log, feed, behind } = options;
  const { days } = collector.store;
  const oldest = await days.oldest();
  if (oldest === undefined) return false;
  const kept = {
    oldest,
    now: collector.clock(),
    size: keep.bytes === undefined ? 0 : await days.size(),
  };
  const why = reasonToDrop(keep, kept);
  if (why === undefined) return false;
  const through = new Date(oldest).toISOString().slice(0, 10);
  const sinks = await behind(await days.newestOf(oldest));
  if (sinks.length > 0 && mayWait(keep, kept)) {
    log.warn({ through, sinks }, "old records stay: sinks have not delivered them");
    return false;
  }
  const lost = sinks.length > 0 ? `; not delivered by ${sinks.join(", ")}` : "";
  const reason = `records received on ${through} or before are deleted: ${why}${lost}`;
  const severity = sinks.length > 0 ? "high" : "info";
  await collector.store.transact(async (tx) => {
    const about = { cluster: ownCluster, node: name, reason, detail: { through } };
    await collector.own.raise(tx, { kind: "expired", severity, ...about }, undefined);
  });
  feed.wake();
  await days.drop(oldest);
  log.info({ through }, "old records deleted");
  return true;
}

interface Kept {
  /** The beginning of the oldest day. */
  readonly oldest: number;
  readonly now: number;
  readonly size: number;
}

/** A day that is only too old waits some days for the sinks; one that takes room does not. */
export function mayWait(keep: Keep, kept: Kept): boolean {
  const later = keep.days === undefined ? undefined : keep.days + patience;
  return reasonToDrop(present({ ...keep, days: later }), kept) === undefined;
}

/** Why the oldest day is due. Undefined: it stays. The present day always stays. */
export function reasonToDrop(keep: Keep, { oldest, now, size }: Kept): string | undefined {
  const today = dayOf(now);
  if (oldest >= today) return undefined;
  if (keep.days !== undefined && oldest < today - keep.days * dayLength)
    return `they are older than ${keep.days} days`;
  if (keep.bytes !== undefined && size > keep.bytes)
    return `the store is larger than ${printSize(keep.bytes)}`;
  return undefined;
}
