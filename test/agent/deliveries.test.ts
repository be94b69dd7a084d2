import test from "ava";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { Deliveries } from "../../src/agent/deliveries.ts";
import { makeContext } from "../helpers/context.ts";
import { startReceiver } from "../helpers/receiver.ts";
import type { Receiver } from "../helpers/receiver.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";

const newKey = (): string => `whsec_${randomBytes(32).toString("base64")}`;

/** A running agent's deliveries to a receiver, without the agent. */
async function deliver() {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(makePlace());
  const secret = place.at("key");
  const rekey = (key: string): void => writeFileSync(secret, `${key}\n`, { mode: 0o600 });
  const receiver: Receiver = stack.use(await startReceiver());
  rekey(newKey());
  const webhook = { url: receiver.url, secret, format: "standard", minSeverity: "info" } as const;
  const bench = stack.use(
    await makeContext({ files: { "/etc/a": "as it was\n" }, webhooks: [webhook] }),
  );
  const deliveries = stack.use(new Deliveries(bench.context));
  const announce = (trouble: string): void =>
    bench.context.committer.announce("degraded", { trouble, reason: "test" }, "high");
  const owned = stack.move();
  return {
    ...bench,
    receiver,
    deliveries,
    announce,
    rekey,
    /** What arrived, in order: "degraded one". */
    arrived: () =>
      receiver.requests
        .filter(({ answered }) => answered === 204)
        .map(({ type, data }) => [type, data["trouble"] ?? data["what"]].join(" ")),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

test("what waits when the agent starts is sent, what is queued later too, in order", async (t) => {
  await using node = await deliver();
  node.announce("one");
  node.deliveries.wake();
  await until(() => node.arrived().length === 2);
  node.announce("two");
  node.deliveries.wake();
  await until(() => node.arrived().length === 3);
  t.deepEqual(node.arrived(), [
    "fim.agent.baseline captured",
    "fim.agent.degraded one",
    "fim.agent.degraded two",
  ]);
  t.deepEqual(node.context.health.degraded(), []);
});

test("a record of another process is sent without a call", async (t) => {
  await using node = await deliver();
  await until(() => node.arrived().length === 1);
  node.announce("one");
  await until(() => node.arrived().length === 2);
  t.is(node.arrived()[1], "fim.agent.degraded one");
});

test("a receiver that answers 410 is a trouble, until it is given other keys", async (t) => {
  await using node = await deliver();
  await until(() => node.arrived().length === 1);
  node.receiver.answer({ status: 410 });
  node.announce("one");
  const { health } = node.context;
  await until(() => health.degraded().length > 0);
  t.regex(health.degraded().join(), /delivery webhook:.*: the receiver answered 410/);
  const asked = node.receiver.requests.length;
  node.receiver.answer({});
  node.announce("two");
  node.deliveries.wake();
  t.is(node.receiver.requests.length, asked);
  node.rekey(newKey());
  await until(() => node.arrived().includes("fim.agent.degraded two"));
  t.true(node.arrived().includes("fim.agent.degraded one"), node.arrived().join());
  t.deepEqual(health.degraded(), []);
});

test("a receiver that asks for an hour is a trouble at once, not after the hour", async (t) => {
  await using node = await deliver();
  await until(() => node.arrived().length === 1);
  node.receiver.answer({ status: 503, headers: { "retry-after": "3600" } });
  node.announce("one");
  node.deliveries.wake();
  const { health } = node.context;
  await until(() => health.degraded().length > 0);
  t.regex(health.degraded().join(), /delivery webhook:.*: status 503/);
  t.is(node.receiver.requests.length, 2);
});

test("the last records are sent while the agent stops, but it does not wait for a receiver that hangs", async (t) => {
  await using node = await deliver();
  await until(() => node.arrived().length === 1);
  node.announce("one");
  await node.deliveries.finish(20_000);
  t.is(node.arrived().at(-1), "fim.agent.degraded one");
  await using other = await deliver();
  await until(() => other.arrived().length === 1);
  other.receiver.answer("hang");
  other.announce("one");
  await other.deliveries.finish(50);
  t.is(other.context.state.queue.backlog().records, 1);
});
