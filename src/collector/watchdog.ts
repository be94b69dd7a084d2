import { setTimeout as pause } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../core/error.ts";
import type { Feed } from "./feed.ts";
import type { Collector } from "./ingest/receive.ts";
import { Outliers } from "./outliers.ts";
import { silentAfter } from "./node-state.ts";
import type { StoredNode } from "./store/store.ts";

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
  readonly #outliers: Outliers;
  readonly #stop = new AbortController();
  readonly #looking: Promise<void>;

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#started = options.collector.clock();
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
      const nodes = await collector.store.nodes();
      for (const node of nodes) if (this.#isSilent(node, now)) await this.#raise(node, now);
      if (await this.#outliers.look(nodes, now)) feed.wake();
    } catch (error) {
      log.error({ reason: messageOf(error) }, "the watchdog could not look");
    }
  }

  #isSilent(node: StoredNode, now: number): boolean {
    return now - Math.max(node.heard, this.#started) > silentAfter(node);
  }

  async #raise({ id, cluster, node, heard }: StoredNode, now: number): Promise<void> {
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
