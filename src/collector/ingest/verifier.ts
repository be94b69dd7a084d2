import { availableParallelism } from "node:os";
import { Tinypool } from "tinypool";
import { isMarkedAsUntransferable } from "node:worker_threads";
import { IntegrityError } from "../../core/error.ts";
import { asBuffer } from "./proof-check.ts";
import type { ProofCheck } from "./proof-check.ts";
import type { Task } from "./verify-worker.ts";
import type { Verified, VerifiedBatch, VerifyJob } from "./verify.ts";

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./verify-worker.ts" : "./verify-worker.js",
  import.meta.url,
);

/** One a core: the thread that stores waits for the disk at times. Each takes about 15 MB. */
const threads = Math.min(4, availableParallelism());
/** Milliseconds without work after which a thread ends. */
const idleTimeout = 60_000;

/** Verifies batches on other threads: their signatures and JSON cost more than storing them. */
export class Verifier implements AsyncDisposable {
  readonly #heap: number;
  #pool: Tinypool | undefined;

  /** `heap`: megabytes of each thread's objects. A thread that needs more ends: STATE_BUSY for what it verified. */
  constructor(heap = 256) {
    this.#heap = heap;
  }

  /** As `verifyParts`. All records lie in one buffer, which goes to the thread: here they are empty from now on. */
  async verify(job: VerifyJob): Promise<readonly Verified[]> {
    const task = taskOf(job);
    const transferList = isMarkedAsUntransferable(task.memory) ? [] : [task.memory];
    const verified = (await this.#run(task, { transferList })) as readonly Verified[];
    return verified.map(({ keys, result }) => ({
      keys,
      result: "fault" in result ? result : withBuffers(result),
    }));
  }

  /** As `faultOf`. */
  async faultOf(check: ProofCheck): Promise<string | undefined> {
    return (await this.#run(check, { name: "faultOf" })) as string | undefined;
  }

  async #run(work: unknown, options: Parameters<Tinypool["run"]>[1]): Promise<unknown> {
    try {
      return await this.#threads().run(work, options);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code !== "ERR_WORKER_OUT_OF_MEMORY") throw cause;
      this.#startAnother();
      const hint = "another request may be the reason: the same is sent again";
      throw new IntegrityError("STATE_BUSY", `verifier: a thread ended (${code})`, { hint, cause });
    }
  }

  /** The pool starts no thread in place of one that ended before there is more work. */
  #startAnother(): void {
    if (!this.#pool || this.#pool.queueSize === 0) return;
    const none: Task = { keys: [], received: 0, memory: new ArrayBuffer(), parts: [] };
    this.#pool.run(none).catch(() => undefined);
  }

  #threads(): Tinypool {
    this.#pool ??= new Tinypool({
      filename: entry.href,
      minThreads: 0,
      maxThreads: threads,
      concurrentTasksPerWorker: 2,
      idleTimeout,
      resourceLimits: { maxOldGenerationSizeMb: this.#heap },
    });
    return this.#pool;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool?.destroy();
  }
}

/** From another thread, bytes arrive as a Uint8Array. */
function withBuffers({ nextKey, packs, ...batch }: VerifiedBatch): VerifiedBatch {
  return {
    ...batch,
    packs: packs.map(({ count, bytes }) => ({ count, bytes: asBuffer(bytes) })),
    ...(nextKey && { nextKey: { ...nextKey, publicKey: asBuffer(nextKey.publicKey) } }),
  };
}

function taskOf({ parts, ...job }: VerifyJob): Task {
  const [memory = new ArrayBuffer(), ...others] = new Set(
    parts.flatMap(({ records }) => records.map(({ buffer }) => buffer as ArrayBuffer)),
  );
  if (others.length > 0) throw new Error("the records of a job lie in several buffers");
  return {
    ...job,
    memory,
    parts: parts.map(({ records, ...part }) => ({
      ...part,
      places: records.map(({ byteOffset, length }) => [byteOffset, length] as const),
    })),
  };
}
