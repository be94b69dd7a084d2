import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../core/error.ts";
import type { Feed } from "./feed.ts";
import { Fleet } from "./fleet.ts";
import type { Member } from "./fleet.ts";
import type { Collector } from "./ingest/receive.ts";
import { Outliers } from "./outliers.ts";

/** Milliseconds between two looks at all nodes. */
const lookEvery = 1000;

interface WatchdogOptions {
  readonly collector: Collector;
  readonly feed: Feed;
  readonly log: Logger;
}

/** Raises an alarm for each node that sends nothing any more, or that differs from its cluster. Several collectors may run one each. */
export class Watchdog implements AsyncDisposable {
  readonly #options: WatchdogOptions;
  /** While the collector was down, no node could be heard. */
  readonly #started: number;
  readonly #fleet: Fleet;
  readonly #outliers: Outliers;
  readonly #stop = new AbortController();
  readonly #looking: Promise<void>;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#started = options.collector.clock();
    this.#fleet = new Fleet(options.collector.store);
    this.#outliers = new Outliers(options.collector);
    this.#looking = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#looking;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await pause(lookEvery, undefined, { signal, ref: false }).catch(() => undefined);
      if (!signal.aborted) await this.#look();
    }
  }

  async #look(): Promise<void> {
    const { collector, feed, log } = this.#options;
    try {
      const now = collector.clock();
      const members = await this.#fleet.members();
      for (const one of members) if (this.#isSilent(one, now)) await this.#raise(one, now);
      if (await this.#outliers.look(members, now)) feed.wake();
    } catch (error) {
      log.error({ reason: messageOf(error) }, "the watchdog could not look");
    }
  }

  #isSilent({ heard, silentAfter }: Member, now: number): boolean {
    return now - Math.max(heard, this.#started) > silentAfter;
  }

  async #raise({ id, cluster, node, heard }: Member, now: number): Promise<void> {
    const { collector, feed, log } = this.#options;
    const isNew = await collector.store.transact(async (tx) => {
      const known = await tx.node({ cluster, node });
      // It was heard since the look.
      if (known?.heard !== heard || !(await tx.beginAlarm(id, "silent", now))) return false;
      const reason = `nothing was heard of it since ${new Date(heard).toISOString()}: the agent was stopped, or the network is down`;
      await collector.own.raise(
        tx,
        { kind: "silent", severity: "critical", cluster, node, reason },
        id,
      );
      return true;
    });
    if (!isNew) return;
    log.warn({ cluster, node }, "silent");
    feed.wake();
  }
}
