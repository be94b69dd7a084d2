import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../../core/error.ts";
import type { Feed } from "../feed.ts";
import type { Collector } from "../ingest/receive.ts";
import { ownCluster } from "../own-chain.ts";
import { alteredRecord, findAltered } from "./check.ts";

interface ScrubOptions {
  readonly collector: Collector;
  readonly feed: Feed;
  readonly log: Logger;
  /** The collector's name. */
  readonly name: string;
  /** Milliseconds between two pages, which leaves the store to others; and between two rounds. */
  readonly pause?: number;
  readonly every?: number;
}

const day = 24 * 3_600_000;

/** Reads all stored records again, slowly and every day, and raises an alarm for one that was altered or removed. */
export class Scrub implements AsyncDisposable {
  readonly #options: Required<ScrubOptions>;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: ScrubOptions) {
    this.#options = { pause: 200, every: day, ...options };
    this.#running = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { pause, every, log } = this.#options;
    const { signal } = this.#stop;
    const wait = async (ms: number): Promise<void> => {
      await setTimeout(ms, undefined, { signal, ref: false });
    };
    while (!signal.aborted) {
      try {
        await this.#round(() => wait(pause));
        await wait(every);
      } catch (error) {
        if (signal.aborted) return;
        log.error({ reason: messageOf(error) }, "stored records could not be checked");
        await wait(every).catch(() => undefined);
      }
    }
  }

  async #round(pause: () => Promise<void>): Promise<void> {
    const { collector, feed, log, name } = this.#options;
    const leaf = await findAltered(collector.store.log, 0, pause);
    if (leaf === undefined) return;
    const reason = `the store was altered: ${alteredRecord(leaf)}`;
    const about = { cluster: ownCluster, node: name };
    await collector.store.transact(async (tx) => {
      const alarm = { kind: "altered", severity: "critical", ...about, reason } as const;
      await collector.own.raise(tx, alarm, undefined);
    });
    log.error({ leaf }, "the store was altered");
    feed.wake();
  }
}
