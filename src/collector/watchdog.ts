import type { Logger } from "pino";
import { messageOf } from "../core/error.ts";
import type { Feed } from "./feed.ts";
import type { Collector } from "./ingest/receive.ts";
import { silentAfter } from "./node-state.ts";
import type { StoredNode } from "./store/store.ts";

/** Milliseconds between two looks at all nodes. */
const lookEvery = 1000;

interface WatchdogOptions {
  readonly collector: Collector;
  readonly feed: Feed;
  readonly log: Logger;
}

/** Raises an alarm for each node that sends nothing any more. Several collectors may run one each. */
export class Watchdog implements AsyncDisposable {
  readonly #options: WatchdogOptions;
  /** While the collector was down, no node could be heard. */
  readonly #started: number;
  readonly #timer: NodeJS.Timeout;
  #looking: Promise<void> = Promise.resolve();

  constructor(options: WatchdogOptions) {
    this.#options = options;
    this.#started = options.collector.clock();
    this.#timer = setInterval(() => {
      this.#looking = this.#looking.then(() => this.#look());
    }, lookEvery);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { collector, log } = this.#options;
    try {
      const now = collector.clock();
      const nodes = await collector.store.nodes();
      for (const node of nodes) if (this.#isSilent(node, now)) await this.#raise(node, now);
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
