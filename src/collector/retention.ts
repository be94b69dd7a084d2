import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../core/error.ts";
import { printSize } from "../core/duration.ts";
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
}

const hour = 3_600_000;

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
  const { collector, keep, name, log, feed } = options;
  const { days } = collector.store;
  const oldest = await days.oldest();
  if (oldest === undefined) return false;
  const why = reasonToDrop(keep, {
    oldest,
    now: collector.clock(),
    size: keep.bytes === undefined ? 0 : await days.size(),
  });
  if (why === undefined) return false;
  const through = new Date(oldest).toISOString().slice(0, 10);
  const reason = `records received on ${through} or before are deleted: ${why}`;
  await collector.store.transact(async (tx) => {
    const about = { cluster: ownCluster, node: name, reason, detail: { through } };
    await collector.own.raise(tx, { kind: "expired", severity: "info", ...about }, undefined);
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
