import { writeFileSync } from "node:fs";
import type { Attempted } from "../../src/deliver/deliver.ts";
import { deliver } from "../../src/deliver/deliver.ts";
import { makeReceiver } from "../../src/deliver/formats/formats.ts";
import { needsOf } from "../../src/deliver/formats/names.ts";
import type { FormatName } from "../../src/deliver/formats/names.ts";
import type { SinkSettings } from "../../src/deliver/sink.ts";
import { Wakeup } from "../../src/deliver/wakeup.ts";
import { MemoryQueue } from "./queue.ts";
import { makePlace } from "./tree.ts";

export type SinkOf = Partial<SinkSettings> & {
  readonly format: FormatName;
  readonly url: string;
  /** The token itself, for a file. */
  readonly token?: string;
};

function warn(problem: string): never {
  throw new Error(problem);
}

/** Delivers these records to a sink of these settings until all are settled. */
export async function deliverAll(
  { token, ...settings }: SinkOf,
  records: readonly Buffer[],
): Promise<{ readonly attempts: readonly Attempted[]; readonly queue: MemoryQueue }> {
  using place = makePlace();
  if (token !== undefined) writeFileSync(place.at("token"), `${token}\n`, { mode: 0o600 });
  const { minSeverity } = needsOf(settings.format);
  const secret = token === undefined ? {} : { secret: place.at("token") };
  using receiver = makeReceiver({ minSeverity, ...secret, ...settings }, { clock: Date.now, warn });
  const queue = new MemoryQueue();
  queue.add(...records);
  const attempts: Attempted[] = [];
  const stop = new AbortController();
  const limits = { base: 1, cap: 5, retryAfterCap: 2000 };
  const running = deliver(
    {
      name: settings.format,
      queue,
      receiver,
      wakeup: new Wakeup(),
      clock: Date.now,
      random: Math.random,
      limits,
      onAttempt: (attempt) => attempts.push(attempt),
    },
    stop.signal,
  );
  await Promise.race([
    queue.until(() => queue.settled === records.length),
    running.then((end) => {
      if (end === "disabled") return;
      throw new Error("the delivery stopped");
    }),
  ]);
  stop.abort();
  await running;
  return { attempts, queue };
}
