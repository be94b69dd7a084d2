import { availableParallelism } from "node:os";
import { Tinypool } from "tinypool";
import type { Verified, VerifyJob } from "./verify.ts";

const entry = new URL(
  import.meta.url.endsWith(".ts") ? "./verify-worker.ts" : "./verify-worker.js",
  import.meta.url,
);

/** One core is for the thread that stores. Each thread takes about 15 MB. */
const threads = Math.max(1, Math.min(4, availableParallelism() - 1));
/** Milliseconds without work after which a thread ends. */
const idleTimeout = 60_000;

/** Verifies batches on other threads: their signatures and JSON cost more than storing them. */
export class Verifier implements AsyncDisposable {
  #pool: Tinypool | undefined;

  /** As `verifyParts`. */
  async verify(job: VerifyJob): Promise<readonly Verified[]> {
    this.#pool ??= new Tinypool({
      filename: entry.href,
      minThreads: 0,
      maxThreads: threads,
      concurrentTasksPerWorker: 2,
      idleTimeout,
      resourceLimits: { maxOldGenerationSizeMb: 256 },
    });
    return (await this.#pool.run(job)) as readonly Verified[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool?.destroy();
  }
}
