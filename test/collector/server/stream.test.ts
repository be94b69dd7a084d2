import test from "ava";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { Reporter, alert, send, startCollector } from "../../helpers/collector.ts";
import type { Serving } from "../../helpers/collector.ts";
import { within } from "../../helpers/wait.ts";

const patience = 60_000;

interface Follower extends Disposable {
  readonly response: IncomingMessage;
}

/** Follows the stream, and reads nothing of it yet. */
async function follow(
  { url, token }: Serving,
  more: Readonly<Record<string, string>> = {},
): Promise<Follower> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const headers = { authorization: `Bearer ${token}`, ...more };
  const asked = request(`${url}/v1/stream`, { headers, agent: false }, resolve);
  asked.on("error", reject);
  asked.end();
  const response = await promise;
  response.on("error", () => undefined);
  return { response, [Symbol.dispose]: () => asked.destroy() };
}

/** The ids of the alerts that come, until there are this many. */
async function idsOf({ response }: Follower, count: number): Promise<readonly string[]> {
  const ids: string[] = [];
  let rest = "";
  response.setEncoding("utf8");
  for await (const chunk of response) {
    const events = (rest + String(chunk)).split("\n\n");
    rest = events.pop() ?? "";
    for (const event of events) {
      const [, data] = /^data: (.*)$/m.exec(event) ?? [];
      if (data === undefined) continue;
      ids.push((JSON.parse(data) as { metadata: { uid: string } }).metadata.uid);
      if (ids.length === count) return ids;
    }
  }
  return ids;
}

test("clients that read nothing delay neither an agent nor a client that reads", async (t) => {
  t.timeout(2 * patience);
  await using serving = await startCollector();
  const reporter = new Reporter();
  await reporter.enrol(serving);
  const followers = await Promise.all(
    Array.from({ length: 20 }, async () => await follow(serving)),
  );
  t.teardown(() => {
    for (const one of followers) one[Symbol.dispose]();
  });
  const [reading] = followers;
  if (!reading) return t.fail();
  const [batches, each] = [20, 20];
  const seen = idsOf(reading, batches * each);
  // 16 MB for each client: far more than the buffers of a connection hold.
  const text = "x".repeat(40_000);
  for (let sent = 0; sent < batches; sent += 1) {
    const entries = Array.from({ length: each }, () => {
      const one = alert(reporter.node);
      return { ...one, body: { ...one.body, text } };
    });
    const { status } = await within(
      send(serving, reporter.batchOf(entries)),
      patience,
      "an agent's batch",
    );
    t.is(status, 200);
  }
  const ids = await within(seen, patience, "the client that reads");
  t.is(new Set(ids).size, batches * each);
});

test("a client that comes back gets what it missed, each once", async (t) => {
  await using serving = await startCollector();
  const reporter = new Reporter();
  await reporter.enrol(serving);
  const first = await follow(serving);
  await send(serving, reporter.batch(2));
  const ids = await within(idsOf(first, 2), patience, "two alerts");
  first[Symbol.dispose]();
  await send(serving, reporter.batch(3));
  const [newest] = await serving.collector.store.alerts({ limit: 1 });
  const lastEventId = String((newest?.id ?? 0) - 3);
  using again = await follow(serving, { "last-event-id": lastEventId });
  const missed = await within(idsOf(again, 3), patience, "what it missed");
  t.is(new Set([...ids, ...missed]).size, 5);
});
