import { SHARE_ENV, Worker } from "node:worker_threads";
import { IntegrityError } from "../../core/error.ts";
import type { Answer, Ending, Job, WorkerData } from "./job.ts";

export type Done = Extract<Answer, { readonly kind: "done" }>;

/** A job and its promise. */
export interface Task {
  readonly job: Omit<Job, "id">;
  done(answer: Done): void;
  failed(error: Error): void;
}

interface LaneEvents {
  /** A task has ended. */
  free(): void;
  /** A thread has ended. */
  gone(): void;
  /** Idle for so long that the thread costs more than a new one. */
  idle(): void;
}

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js",
  import.meta.url,
);
/** A worker holds only a batch of rows and its code. */
const resourceLimits = { maxOldGenerationSizeMb: 64 };

/** One worker thread and its tasks. It keeps the process alive while it has tasks or is stopping. */
export class Lane {
  readonly #worker: Worker;
  readonly #tasks = new Map<number, Task>();
  readonly #on: LaneEvents;
  readonly #idleAfter: number;
  #nextId = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(data: WorkerData, idleAfter: number, on: LaneEvents) {
    this.#on = on;
    this.#idleAfter = idleAfter;
    this.#worker = new Worker(entry, { workerData: data, resourceLimits, env: SHARE_ENV });
    this.#worker.unref();
    this.#worker.on("message", (answer: Answer) => {
      this.#finish(answer);
      on.free();
    });
    const gone = (cause: unknown): void => {
      on.gone();
      this.fail(new IntegrityError("ENGINE_FAILED", "hash worker: ended by itself", { cause }));
      on.free();
    };
    this.#worker.on("error", gone);
    this.#worker.on("exit", () => gone(undefined));
  }

  get size(): number {
    return this.#tasks.size;
  }

  run(task: Task): void {
    const id = this.#nextId;
    this.#nextId += 1;
    this.#tasks.set(id, task);
    clearTimeout(this.#idle);
    this.#worker.ref();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage({ id, ...task.job } satisfies Job);
  }

  /**
   * Fails its tasks and wakes the thread so that it stops. Keeps the process until then: a process that exits while a
   * thread is in a system call or loading aborts.
   */
  stop(error: Error): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(undefined);
    this.fail(error);
    this.#worker.ref();
  }

  /** Ends a thread without tasks. */
  end(): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage("end" satisfies Ending);
  }

  fail(error: Error): void {
    clearTimeout(this.#idle);
    const tasks = [...this.#tasks.values()];
    this.#tasks.clear();
    this.#worker.unref();
    for (const task of tasks) task.failed(error);
  }

  #finish(answer: Answer): void {
    const task = this.#tasks.get(answer.id);
    // Its tasks failed: the thread must stop.
    if (!task) return;
    this.#tasks.delete(answer.id);
    if (this.#tasks.size === 0) this.#rest();
    if (answer.kind === "done") task.done(answer);
    else task.failed(errorOf(answer));
  }

  #rest(): void {
    this.#worker.unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#on.idle(), this.#idleAfter);
    this.#idle.unref();
  }
}

function errorOf({ code, message, hint }: Extract<Answer, { readonly kind: "failed" }>): Error {
  if (code === undefined) return new Error(`hash worker: ${message}`);
  return new IntegrityError(code, message, hint === undefined ? {} : { hint });
}
