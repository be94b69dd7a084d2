import { inlineBytes } from "../../core/size-class.ts";
import type { Item, Large, Result } from "./job.ts";
import type { Done, Task } from "./worker-thread.ts";

/** Items in one message to a worker: enough that messages cost nothing, few enough to hold in memory. */
const batchSize = 64;
/** A worker gets its next job before it ends one, so that it never waits for the main thread. */
const tasksPerLane = 2;

interface Progress {
  readonly files: number;
  readonly bytes: number;
}

export interface SweepOptions {
  /** Limits the bytes read in a second. */
  readonly bytesPerSecond?: number;
  /** Called after each batch with the progress. */
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** One run over many items: hands out tasks and collects results. */
export class Sweep {
  readonly #items: Iterator<Item>;
  readonly #onBatch: (results: readonly Result[]) => void;
  readonly #options: SweepOptions;
  readonly #end = Promise.withResolvers<void>();
  /** The largest last. */
  readonly #large: Large[] = [];
  #inFlight = 0;
  #files = 0;
  #bytes = 0;
  #isExhausted = false;
  #isEnded = false;

  constructor(
    items: Iterable<Item>,
    onBatch: (results: readonly Result[]) => void,
    options: SweepOptions,
  ) {
    this.#items = items[Symbol.iterator]();
    this.#onBatch = onBatch;
    this.#options = options;
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (options.signal?.aborted) this.#onAbort();
  }

  /** Resolves when all is observed; rejects after a failure or when the signal aborted. */
  get ended(): Promise<void> {
    return this.#end.promise;
  }

  /** The next task for a worker with `load` tasks, if it should have one. */
  take(load: number): Task | undefined {
    const isRationed = this.#options.bytesPerSecond !== undefined && this.#inFlight > 0;
    if (this.#isEnded || isRationed || load >= tasksPerLane) return undefined;
    // While a large file waits, workers run empty; one of them takes it, the largest first.
    if (this.#large.length > 0) return load === 0 ? this.#largest() : undefined;
    const items = this.#pull();
    return items.length > 0 ? this.#task(items, inlineBytes) : undefined;
  }

  fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#close();
    this.#end.reject(error);
    this.#items.return?.();
  }

  readonly #onAbort = (): void => this.fail(this.#options.signal?.reason);

  #largest(): Task | undefined {
    const largest = this.#large.pop();
    return largest && this.#task([largest.item], Infinity);
  }

  #pull(): Item[] {
    const items: Item[] = [];
    try {
      while (items.length < batchSize && !this.#isExhausted) {
        const next = this.#items.next();
        if (next.done) this.#isExhausted = true;
        else items.push(next.value);
      }
    } catch (error) {
      this.fail(error);
      return [];
    }
    if (items.length === 0) this.#endIfDone();
    return items;
  }

  #task(items: readonly Item[], limit: number): Task {
    const { bytesPerSecond } = this.#options;
    this.#inFlight += 1;
    return {
      job: { items, largeBytes: limit, ...(bytesPerSecond !== undefined && { bytesPerSecond }) },
      done: (answer) => this.#done(answer),
      failed: (error) => this.fail(error),
    };
  }

  #done(answer: Done): void {
    this.#inFlight -= 1;
    if (this.#isEnded) return;
    this.#large.push(...answer.large);
    this.#large.sort((a, b) => a.size - b.size);
    this.#files += answer.results.length;
    this.#bytes += answer.bytes;
    try {
      if (answer.results.length > 0) this.#onBatch(answer.results);
      this.#options.onProgress?.({ files: this.#files, bytes: this.#bytes });
    } catch (error) {
      this.fail(error);
    }
    this.#endIfDone();
  }

  #endIfDone(): void {
    const isDone = this.#isExhausted && this.#inFlight === 0 && this.#large.length === 0;
    if (this.#isEnded || !isDone) return;
    this.#close();
    this.#end.resolve();
  }

  #close(): void {
    this.#isEnded = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
  }
}
