import { parentPort, workerData } from "node:worker_threads";
import { IntegrityError } from "../../core/error.ts";
import { rowOf } from "../../core/change/observation.ts";
import type { Observation } from "../../core/change/observation.ts";
import type { Answer, Ending, Item, Job, Large, Result, WorkerData } from "./job.ts";
import { bytesToRead, Observer } from "../observer.ts";

/*
 * The thread that reads files. It imports little, because every worker has its own copy.
 */

const { root, stop: stopMemory } = workerData as WorkerData;
const stop = new Int32Array(stopMemory);
const shortestSleep = 5; // milliseconds

let observer: Observer | undefined;
let rate: number | undefined;
let bytesRead = 0;
/** When the bytes read so far are paid for, in milliseconds of performance.now(). */
let paidAt = 0;

/** Keeps the rate; idle time saves nothing up. */
function throttle(bytes: number): void {
  bytesRead += bytes;
  if (rate !== undefined) {
    const now = performance.now();
    paidAt = Math.max(paidAt, now) + (bytes / rate) * 1000;
    if (paidAt - now > shortestSleep) Atomics.wait(stop, 0, 0, paidAt - now);
  }
  // Thrown through the observer, which closes its files: terminating the thread would leak them.
  if (Atomics.load(stop, 0) !== 0) throw new Error("stopped");
}

function answer(job: Job): Answer {
  rate = job.bytesPerSecond;
  bytesRead = 0;
  const results: Result[] = [];
  const large: Large[] = [];
  try {
    observer ??= new Observer(root, throttle);
    for (const item of job.items) {
      const maxBytes = Math.min(item.want.maxBytes ?? Infinity, job.largeBytes);
      const seen = observer.observe(item.path, { ...item.want, maxBytes });
      if (seen && isUnread(seen, item, maxBytes)) large.push({ item, size: seen.size });
      else results.push(resultOf(item.path, seen));
    }
    return { kind: "done", id: job.id, results, large, bytes: bytesRead };
  } catch (error) {
    return failure(job.id, error);
  }
}

/** Too large for this job, but not for the caller. */
function isUnread(seen: Observation, { want }: Item, maxBytes: number): boolean {
  if (seen.type !== "file" || seen.unreadable !== undefined) return false;
  const bytes = bytesToRead(seen.size, want);
  return bytes > maxBytes && bytes <= (want.maxBytes ?? Infinity);
}

function resultOf(path: string, seen: Observation | undefined): Result {
  if (!seen) return { path };
  const { prefix, unreadable } = seen;
  return {
    path,
    row: rowOf(seen),
    ...(prefix && { prefix }),
    ...(unreadable !== undefined && { unreadable }),
  };
}

function failure(id: number, error: unknown): Answer {
  if (!(error instanceof IntegrityError))
    return {
      kind: "failed",
      id,
      message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    };
  const { code, message, hint } = error;
  return { kind: "failed", id, message, code, ...(hint !== undefined && { hint }) };
}

parentPort?.on("message", (job: Job | Ending | undefined) => {
  const isJob = job !== undefined && job !== "end";
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  if (isJob && Atomics.load(stop, 0) === 0) parentPort?.postMessage(answer(job));
  if (job !== "end" && Atomics.load(stop, 0) === 0) return;
  observer?.[Symbol.dispose]();
  observer = undefined;
  parentPort?.close();
});
