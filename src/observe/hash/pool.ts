import { IntegrityError } from "../../core/error.ts";
import { parseRow } from "../../core/change/observation.ts";
import type { Observation } from "../../core/change/observation.ts";
import type { Item, Result } from "./job.ts";
import { Lane } from "./worker-thread.ts";
import type { Task } from "./worker-thread.ts";
import type { Want } from "../observer.ts";
import { Sweep } from "./run.ts";
import type { SweepOptions } from "./run.ts";

interface PoolOptions {
  readonly root: string;
  /** Threads, about 11 MB each. They start with work and end without. */
  readonly workers: number;
  /** Milliseconds without work after which a thread ends. */
  readonly idleAfter?: number;
}

/** A sweep that waits for its budget, or a burst of large files, pauses for less. */
const usualIdle = 5000;

/** Observes many paths, or large files, on other threads. */
export class HashPool {
  readonly #options: PoolOptions;
  readonly #stop = new Int32Array(new SharedArrayBuffer(4));
  readonly #lanes = new Set<Lane>();
  readonly #urgent: Task[] = [];
  readonly #sweeps = new Set<Sweep>();
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** Fails the open jobs and all later ones. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Observes all items. Takes them from the iterable as fast as the workers go, and orders them: large files go
   * singly and first. A sweep with a budget has one worker.
   */
  observeAll(
    items: Iterable<Item>,
    onBatch: (results: readonly Result[]) => void,
    options: SweepOptions = {},
  ): Promise<void> {
    if (this.#isClosed) return Promise.reject(closed());
    const sweep = new Sweep(items, onBatch, options);
    this.#sweeps.add(sweep);
    this.#dispatch();
    return sweep.ended.finally(() => {
      this.#sweeps.delete(sweep);
    });
  }

  /** Observes one path before everything that waits. */
  observeOne(path: string, want: Want): Promise<Observation | undefined> {
    if (this.#isClosed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#urgent.push({
        job: { items: [{ path, want }], largeBytes: Infinity },
        done: ({ results }) => resolve(observationOf(results[0])),
        failed: reject,
      });
      this.#dispatch();
    });
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    Atomics.store(this.#stop, 0, 1);
    Atomics.notify(this.#stop, 0);
    for (const task of this.#urgent.splice(0)) task.failed(closed());
    for (const sweep of this.#sweeps) sweep.fail(closed());
    for (const lane of this.#lanes) lane.stop(closed());
  }

  #dispatch(): void {
    while (!this.#isClosed) {
      const lane = this.#freest();
      const task = this.#urgent.shift() ?? this.#take(lane?.size ?? 0);
      if (!task) return;
      (lane ?? this.#start()).run(task);
    }
  }

  #take(load: number): Task | undefined {
    for (const sweep of this.#sweeps) {
      const task = sweep.take(load);
      if (task) return task;
    }
    return undefined;
  }

  /** The thread with the fewest tasks. Undefined: it is busy and another may start. */
  #freest(): Lane | undefined {
    let freest: Lane | undefined;
    for (const lane of this.#lanes) if (!freest || lane.size < freest.size) freest = lane;
    return freest?.size === 0 || this.#lanes.size >= this.#options.workers ? freest : undefined;
  }

  #start(): Lane {
    const data = { root: this.#options.root, stop: this.#stop.buffer };
    const lane = new Lane(data, this.#options.idleAfter ?? usualIdle, {
      free: () => this.#dispatch(),
      gone: () => this.#lanes.delete(lane),
      idle: () => {
        this.#lanes.delete(lane);
        lane.end();
      },
    });
    this.#lanes.add(lane);
    return lane;
  }
}

function observationOf(result: Result | undefined): Observation | undefined {
  if (result?.row === undefined) return undefined;
  const { prefix } = result;
  return { ...parseRow(result.row), ...(prefix && { prefix }) };
}

function closed(): IntegrityError {
  return new IntegrityError("ENGINE_FAILED", "hash workers: closed while they had work");
}
