import { createPublicKey } from "node:crypto";
import test from "ava";
import { parseBody } from "../../src/collector/ingest/body.ts";
import { Verifier } from "../../src/collector/ingest/verifier.ts";
import type { VerifyJob } from "../../src/collector/ingest/verify.ts";
import { keyIdOf, rawPublicKey } from "../../src/core/record/dsse.ts";
import { Reporter } from "../helpers/collector.ts";

function jobOf(reporter: Reporter, body: string): VerifyJob {
  const key = createPublicKey(reporter.key);
  const parts = parseBody(Buffer.from(body));
  if ("problem" in parts) throw new Error(parts.problem);
  return { keys: [{ keyId: keyIdOf(key), publicKey: rawPublicKey(key) }], parts, received: 0 };
}

/** Seven megabytes whose objects take twenty times as much. */
function large(reporter: Reporter): string {
  const body = { a: Array.from({ length: 330_000 }, () => ({})) };
  return reporter.batchOf(Array.from({ length: 7 }, () => ({ kind: "alert", body }) as const));
}

test("a thread that runs out of memory fails its own work; the next one is verified", async (t) => {
  await using verifier = new Verifier(16);
  const reporter = new Reporter();
  await t.throwsAsync(verifier.verify(jobOf(reporter, large(reporter.clone()))), {
    code: "STATE_BUSY",
  });
  const [verified] = await verifier.verify(jobOf(reporter, reporter.batch(3)));
  t.true(verified && "batch" in verified.result);
});

test("work that waited for a thread that ran out of memory is done by the next one", async (t) => {
  await using verifier = new Verifier(16);
  const reporter = new Reporter();
  const [hostile, ...others] = [
    jobOf(reporter, large(reporter.clone())),
    ...Array.from({ length: 8 }, () => jobOf(reporter, reporter.batch(1))),
  ].map(async (job) => await verifier.verify(job));
  await t.throwsAsync(hostile ?? Promise.resolve(), { code: "STATE_BUSY" });
  const settled = await Promise.allSettled(others);
  t.true(settled.some(({ status }) => status === "fulfilled"));
});

test("the memory of many records goes to the other thread; what others share is copied", async (t) => {
  await using verifier = new Verifier();
  const reporter = new Reporter();
  for (const [count, isGone] of [
    [1, false],
    [400, true],
  ] as const) {
    const job = jobOf(reporter, reporter.batch(count));
    const memory = job.parts[0]?.records[0]?.buffer;
    const [verified] = await verifier.verify(job);
    t.true(verified && "batch" in verified.result);
    t.is(memory?.byteLength === 0, isGone);
  }
});
