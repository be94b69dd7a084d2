import { Buffer } from "node:buffer";
import test from "ava";
import { costOf, parseBody } from "../../../src/collector/ingest/body.ts";
import { sealBatch } from "../../../src/core/record/batch.ts";
import { newKey } from "../../helpers/collector.ts";

test("a body is split no further than to its first fault: each line costs more memory than its bytes", (t) => {
  const body = Buffer.alloc(1000, "x\n");
  const subarray = body.subarray.bind(body);
  let lines = 0;
  body.subarray = (from, to) => {
    lines += 1;
    return subarray(from, to);
  };
  t.deepEqual(parseBody(body), { problem: "line 1: expected an envelope" });
  t.is(lines, 1);
});

test("a request carries a bounded number of records in all its batches", (t) => {
  const batch = { chain: "prod/cp-1/a", first: 1, last: 1000, prev: "", head: "", at: "" };
  const part = `${JSON.stringify(sealBatch(batch, newKey()))}\n${"x\n".repeat(1000)}`;
  t.true(Array.isArray(parseBody(Buffer.from(part.repeat(16)))));
  t.deepEqual(parseBody(Buffer.from(part.repeat(17))), { problem: "more than 16384 records" });
});

test("a long record counts as several, and a heartbeat as one", (t) => {
  const records = [1, 3000, 16 * 1024, 16 * 1024 + 1, 2 ** 20].map((size) => Buffer.alloc(size));
  t.is(costOf([{ records }]), 1 + 1 + 1 + 2 + 64);
  t.is(costOf([{ records: [] }, { records: [] }]), 2);
});
