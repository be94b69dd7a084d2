import test from "ava";
import pino from "pino";
import { Registry } from "prom-client";
import { Feed } from "../../../src/collector/feed.ts";
import { Forwarder } from "../../../src/collector/forward/forwarder.ts";
import { StoredQueue } from "../../../src/collector/forward/queue.ts";
import type { SinkSettings } from "../../../src/deliver/sink.ts";
import { createSinkMetrics } from "../../../src/health/sink-metrics.ts";
import { Reporter, alert, send, startCollector } from "../../helpers/collector.ts";
import type { Serving } from "../../helpers/collector.ts";
import { startService } from "../../helpers/service.ts";
import type { Service } from "../../helpers/service.ts";
import { onEachStore } from "../../helpers/stores.ts";
import { until } from "../../helpers/wait.ts";

interface Forwarding extends AsyncDisposable {
  readonly wake: () => void;
}

/** A collector's deliveries to these sinks. */
function forward(serving: Serving, sinks: readonly SinkSettings[]): Forwarding {
  const feed = new Feed();
  const { collector } = serving;
  const metrics = createSinkMetrics(new Registry(), collector.clock);
  const log = pino({ level: "silent" });
  const forwarder = new Forwarder({ sinks, collector, name: "test", feed, metrics, log });
  return {
    wake: () => feed.wake(),
    [Symbol.asyncDispose]: async () => await forwarder[Symbol.asyncDispose](),
  };
}

const otlp = ({ url }: Service): SinkSettings => ({ format: "otlp", url, minSeverity: "info" });

interface Logs {
  readonly resourceLogs: readonly {
    readonly scopeLogs: readonly {
      readonly logRecords: readonly { readonly body: { readonly stringValue: string } }[];
    }[];
  }[];
}

/** The messages that arrived by OTLP, in order. */
function messagesAt({ asked }: Service): readonly string[] {
  return asked.flatMap(({ body }) =>
    (JSON.parse(body) as Logs).resourceLogs.flatMap(({ scopeLogs }) =>
      scopeLogs.flatMap(({ logRecords }) => logRecords.map((one) => one.body.stringValue)),
    ),
  );
}

const ok = () => ({ status: 200, body: {} });

/** Alerts whose messages are numbered. */
const numbered = (node: string, from: number, count: number) =>
  Array.from({ length: count }, (_, at) => {
    const { kind, body } = alert(node);
    return { kind, body: { ...body, message: `${node}: change ${from + at}` } };
  });

async function enrolled(serving: Serving, node = "cp-1"): Promise<Reporter> {
  const reporter = new Reporter(node);
  await reporter.enrol(serving);
  return reporter;
}

onEachStore(
  "alerts of all nodes reach a sink in the order of their arrival, each once",
  async (t, start) => {
    await using serving = await start();
    await using service = await startService(ok);
    const [one, two] = [await enrolled(serving, "cp-1"), await enrolled(serving, "cp-2")];
    await send(serving, one.batchOf(numbered("cp-1", 0, 3)));
    await using forwarding = forward(serving, [otlp(service)]);
    await until(async () => {
      // A new sink begins after what was there before.
      await send(serving, two.batchOf(numbered("cp-2", 0, 1)));
      forwarding.wake();
      return messagesAt(service).length > 0;
    });
    await send(serving, one.batchOf(numbered("cp-1", 3, 300)));
    await send(serving, two.batchOf(numbered("cp-2", 100, 2)));
    forwarding.wake();
    await until(() => messagesAt(service).includes("cp-2: change 101"));
    const arrived = messagesAt(service).filter((text) => text !== "cp-2: change 0");
    t.deepEqual(arrived, [
      ...Array.from({ length: 300 }, (_, at) => `cp-1: change ${at + 3}`),
      "cp-2: change 100",
      "cp-2: change 101",
    ]);
  },
);

onEachStore(
  "what waits while no collector runs is sent after the restart, from where it stopped",
  async (t, start) => {
    await using serving = await start();
    await using service = await startService(ok);
    const reporter = await enrolled(serving);
    const first = forward(serving, [otlp(service)]);
    await until(async () => {
      await send(serving, reporter.batchOf(numbered("cp-1", 0, 1)));
      first.wake();
      return messagesAt(service).length > 0;
    });
    await first[Symbol.asyncDispose]();
    const before = messagesAt(service).length;
    await send(serving, reporter.batchOf(numbered("cp-1", 500, 5)));
    await using second = forward(serving, [otlp(service)]);
    second.wake();
    await until(() => messagesAt(service).includes("cp-1: change 504"));
    t.deepEqual(
      messagesAt(service)
        .slice(before)
        .filter((text) => /change 50\d$/.test(text)),
      [500, 501, 502, 503, 504].map((at) => `cp-1: change ${at}`),
    );
  },
);

onEachStore(
  "of two collectors one serves a sink, and the other takes over when it stops",
  async (t, start) => {
    await using serving = await start();
    const reporter = await enrolled(serving);
    const { store, clock } = serving.collector;
    const [a, b] = ["a", "b"].map((holder) => new StoredQueue({ store, holder, clock }));
    if (!a || !b) return t.fail();
    await a.register("hook");
    await b.register("hook");
    await send(serving, reporter.batchOf(numbered("cp-1", 0, 3)));
    const limits = { maxRecords: 2, maxBytes: 1 << 20, now: clock() };
    const leased = await a.lease("hook", limits);
    t.is(leased.length, 2);
    t.deepEqual(await b.lease("hook", limits), []);
    await b.settle("hook", leased[1]?.seq ?? 0);
    t.deepEqual(await a.lease("hook", limits), leased);
    await a.settle("hook", leased[0]?.seq ?? 0);
    await a.release("hook");
    const taken = await b.lease("hook", { ...limits, now: clock() });
    t.is(taken[0]?.seq, leased[1]?.seq);
    await a.settle("hook", 1_000_000);
    t.is((await b.state("hook"))?.seq, leased[0]?.seq);
    serving.skew += 16_000;
    t.is((await a.lease("hook", { ...limits, now: clock() }))[0]?.seq, leased[1]?.seq);
  },
);

onEachStore(
  "a sink keeps its failures and its wait, and stays disabled until it is enabled",
  async (t, start) => {
    await using serving = await start();
    const { store, clock } = serving.collector;
    const reporter = await enrolled(serving);
    const queue = new StoredQueue({ store, holder: "a", clock });
    await queue.register("hook");
    await send(serving, reporter.batchOf(numbered("cp-1", 0, 1)));
    const lease = async () =>
      await queue.lease("hook", { maxRecords: 9, maxBytes: 1 << 20, now: clock() });
    await queue.defer("hook", 3, clock() + 60_000);
    t.deepEqual(await lease(), []);
    t.is((await queue.state("hook"))?.attempts, 3);
    serving.skew += 61_000;
    t.is((await lease()).length, 1);
    await queue.disable("hook", "status 410", "keys");
    t.deepEqual(await lease(), []);
    await queue.register("hook");
    t.like(await queue.state("hook"), { disabled: true, reason: "status 410", keys: "keys" });
    await queue.enable("hook");
    t.is((await lease()).length, 1);
    t.is((await queue.state("hook"))?.reason, undefined);
  },
);

test("a record larger than the limit of bytes is leased alone", async (t) => {
  await using serving = await startCollector();
  const { store, clock } = serving.collector;
  const reporter = await enrolled(serving);
  const queue = new StoredQueue({ store, holder: "a", clock });
  await queue.register("hook");
  await send(serving, reporter.batchOf(numbered("cp-1", 0, 3)));
  const leased = await queue.lease("hook", { maxRecords: 9, maxBytes: 10, now: clock() });
  t.is(leased.length, 1);
});

test("a sink that is gone is an alarm at the other sinks", async (t) => {
  await using serving = await startCollector();
  await using gone = await startService(() => ({ status: 410 }));
  await using service = await startService(ok);
  const reporter = await enrolled(serving);
  await using forwarding = forward(serving, [otlp(gone), otlp(service)]);
  await until(async () => {
    await send(serving, reporter.batchOf(numbered("cp-1", 0, 1)));
    forwarding.wake();
    return messagesAt(service).some((text) => /sink otlp:127.*: status 410/.test(text));
  });
  t.true((await serving.types()).includes("fim.collector.undelivered"));
  t.is(gone.asked.length, 1);
});
