import { SHARE_ENV, Worker } from "node:worker_threads";
import { IntegrityError } from "../../core/error.ts";
import type { Answer, Ending, Job, WorkerData } from "./job.ts";

export type Done = Extract<Answer, { readonly kind: "done" }>;

/** A job and who waits for it. */
export interface Task {
  readonly job: Omit<Job, "id">;
  done(answer: Done): void;
  failed(error: Error): void;
}

export interface LaneEvents {
  /** A task has ended. */
  free(): void;
  /** The thread has. */
  gone(): void;
  /** There was no task for so long that the thread costs more than a new one. */
  idle(): void;
}

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js",
  import.meta.url,
);
/** A worker holds a batch of rows and its code, no more. */
const resourceLimits = { maxOldGenerationSizeMb: 64 };

/** One worker thread and the tasks it was given. It keeps the process alive only while it has tasks, and while it stops. */
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
      this.#settle(answer);
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
   * Gives its tasks up and wakes the thread, so that it sees that it shall stop. It keeps the process until it has:
   * a thread that is in a system call, or only being loaded, when the process ends aborts it.
   */
  stop(error: Error): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage(undefined);
    this.fail(error);
    this.#worker.ref();
  }

  /** Ends a thread that has no tasks and will get none. */
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

  #settle(answer: Answer): void {
    const task = this.#tasks.get(answer.id);
    // It was given up: the thread is to stop.
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
