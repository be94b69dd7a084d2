import { randomBytes } from "node:crypto";
import test from "ava";
import { Verifier } from "../../src/collector/ingest/verifier.ts";
import { sealBatch } from "../../src/core/record/batch.ts";
import { hashRecord } from "../../src/core/record/chain.ts";
import { Reporter, alert, send, startCollector } from "../helpers/collector.ts";
import type { Serving } from "../helpers/collector.ts";
import { post } from "../helpers/http.ts";
import { onEachStore } from "../helpers/stores.ts";

async function enrolled(serving: Serving): Promise<Reporter> {
  const reporter = new Reporter();
  const { status, body } = await reporter.enrol(serving);
  if (status !== 200) throw new Error(`not enrolled: ${body}`);
  return reporter;
}

function randomText(): string {
  return randomBytes(9000).toString("base64");
}

/** A signed batch of one alert whose body is this text. */
function batchOfText(reporter: Reporter, body: string): string {
  const at = new Date().toISOString();
  const { chain, head: before } = reporter;
  const [seq, prev] = [before.seq + 1, before.hash];
  const head = JSON.stringify({ v: 1, chain, seq, prev, at, kind: "alert" });
  const bytes = Buffer.from(`${head.slice(0, -1)},"body":${body}}`);
  reporter.head = { seq, hash: hashRecord(bytes) };
  const batch = { chain, first: seq, last: seq, prev, head: reporter.head.hash, at };
  return `${JSON.stringify(sealBatch(batch, reporter.key))}\n${bytes.toString()}\n`;
}

onEachStore("no body that a node writes spoils the list or the summary", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const bodies = [
    '{"a":1} ',
    "{ \t}",
    ' {"a":1}\r',
    '{"a":1,\r"collector":7}',
    '{"a":1,"a":2}',
    '{"time":9007199254740991,"severity_id":1e400}',
    '{"__proto__":{"unmapped":7},"unmapped":{"__proto__":{"fim":{}}}}',
    String.raw`{"unmapped":{"fim":{"path":"\u0000\ud800","change":"\udfff"}}}`,
  ];
  for (const body of bodies) {
    t.is((await send(serving, batchOfText(reporter, body))).status, 200, body);
    const text = await serving.text("/v1/alerts");
    t.false(text.includes("\r"), "an event of the stream would end there");
    const list = JSON.parse(text) as { items: readonly object[] };
    t.like(list.items[0], { collector: { node: "cp-1" } }, body);
    t.is((await serving.read("/v1/summary")).status, 200, body);
  }
});

onEachStore("strangers do not use up the rate of a node", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const { chain } = reporter;
  const batch = { chain, first: 1, last: 1000, prev: "", head: "", at: "" };
  const part = `${JSON.stringify(sealBatch(batch, new Reporter().key))}\n${"x\n".repeat(1000)}`;
  for (let sent = 0; sent < 5; sent += 1)
    t.is((await send(serving, part.repeat(16))).status, 401, "16,000 records each");
  t.is((await send(serving, reporter.batch())).status, 200);
});

onEachStore("only the collector writes alarms of a collector", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const { body } = alert("cp-1", { type: "fim.collector.heard" });
  const lines = reporter.clone().batchOf([{ kind: "collector", body }]);
  t.is((await send(serving, lines)).status, 401);
  t.deepEqual(await serving.types(), ["fim.collector.rejected"]);
});

onEachStore("texts that are long and do not compress are stored", async (t, start) => {
  await using serving = await start();
  const reporter = await enrolled(serving);
  const container = { pod: randomText(), namespace: randomText() };
  const names = {
    path: randomText(),
    rule: randomText(),
    change: randomText(),
    incident: randomText(),
    type: randomText(),
  };
  const fim = { ...names, actor: { exe: randomText(), container } };
  const lines = reporter.batchOf([
    { kind: "alert", body: { unmapped: { fim } } },
    { kind: "agent", body: { event: randomText() } },
  ]);
  t.is((await send(serving, lines)).status, 200);
  t.is((await serving.types()).length, 2);
});

test("work whose thread runs out of memory is sent again", async (t) => {
  await using serving = await startCollector();
  const reporter = await enrolled(serving);
  await using verifier = new Verifier(16);
  Object.assign(serving.collector, { verifier });
  const body = { a: Array.from({ length: 330_000 }, () => ({})) };
  const lines = reporter.batchOf(Array.from({ length: 7 }, () => ({ kind: "alert", body })));
  const headers = { "content-type": "application/x-ndjson" };
  t.is((await post(`${serving.url}/v1/batches`, lines, headers)).status, 503);
});
