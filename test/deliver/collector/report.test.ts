import test from "ava";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attempted } from "../../../src/deliver/deliver.ts";
import type { CollectorSettings } from "../../../src/deliver/collector/client.ts";
import { CollectorClient } from "../../../src/deliver/collector/client.ts";
import { report } from "../../../src/deliver/collector/report.ts";
import type { CollectorSink } from "../../../src/deliver/collector/report.ts";
import { Witness } from "../../../src/deliver/collector/witness.ts";
import type { Memory } from "../../../src/deliver/collector/witness.ts";
import { Wakeup } from "../../../src/deliver/wakeup.ts";
import { Queue } from "../../../src/outbox/queue.ts";
import { transact } from "../../../src/sqlite/open.ts";
import { Reporter, startCollector } from "../../helpers/collector.ts";
import { peerThat } from "../../helpers/peer.ts";
import { State, at } from "../../helpers/state.ts";
import { until } from "../../helpers/wait.ts";

/** What a collector answers to the n-th request of batches, from 0. */
type Answer = (request: number) => readonly [status: number, body: unknown];

const sinkName = "collector";

function memory(): Memory {
  let kept: string | undefined;
  return { get: () => kept, set: (text) => (kept = text) };
}

/** A chain of five records, and a collector that knows the node and answers batches so. */
async function reportTo(
  to: Answer | CollectorSettings,
  clock: () => number = Date.now,
  batches = 0,
) {
  await using stack = new AsyncDisposableStack();
  const state = stack.use(new State());
  const outbox = state.outbox();
  const queue = new Queue(state.db);
  queue.register([{ name: sinkName, from: "oldest" }]);
  const entry = { kind: "alert", severity: "low", body: (seq: number) => ({ seq }) } as const;
  const add = (count: number): void => {
    transact(state.db, () =>
      outbox.append(
        Array.from({ length: count }, () => entry),
        at,
      ),
    );
  };
  add(4);
  for (let count = 0; count < batches; count += 1) add(1);
  const answer = typeof to === "function" ? to : undefined;
  let asked = 0;
  let enrolments = 0;
  const reply = (response: ServerResponse): void => {
    const url = response.req.url ?? "";
    if (url.endsWith("/enroll")) enrolments += 1;
    const isBatch = url.endsWith("/batches");
    const [status, body] = isBatch && answer ? answer(asked++) : [200, { nonce: "n" }];
    response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
  };
  const peer = stack.use(await peerThat(reply));
  const witness = new Witness(memory());
  const settings = typeof to === "function" ? { url: new URL(peer.url).origin } : to;
  const reporter = Object.assign(new Reporter("cp-1", { key: state.key.privateKey }), {
    chain: outbox.chain,
    head: outbox.head(),
  });
  const attempts: Attempted[] = [];
  const forks: number[] = [];
  let isEnrolled = typeof to === "function";
  const sink: CollectorSink = {
    name: sinkName,
    queue,
    client: stack.use(new CollectorClient(settings, { witness, pin: memory() }, clock)),
    wakeup: new Wakeup(),
    identity: () => ({ node: "cp-1", cluster: "prod", key: { ...state.key, past: [] } }),
    heartbeat: (nonce) => Buffer.from(reporter.heartbeat(nonce)),
    heartbeatEvery: 3_600_000,
    enrolled: { get: () => isEnrolled, set: (is) => (isEnrolled = is) },
    clock,
    // The longest wait after each failure.
    random: () => 1,
    onAttempt: (attempt) => attempts.push(attempt),
    onFork: (seq) => forks.push(seq),
    witness,
    onLog: () => undefined,
  };
  const stop = new AbortController();
  const running = report(sink, stop.signal);
  stack.defer(async () => {
    stop.abort();
    await running;
  });
  const owned = stack.move();
  return {
    queue,
    sink,
    add,
    attempts,
    forks,
    asked: () => asked,
    enrolments: () => enrolments,
    seq: () => queue.state(sinkName)?.seq,
    /** Ends when the collector has failed, or was asked often without a failure. */
    untilFailed: async () =>
      await until(() => attempts.some(({ failures }) => failures > 0) || asked >= 30),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

test("what the collector has is settled", async (t) => {
  await using node = await reportTo(() => [200, { ack: 5, nonce: "n" }]);
  await until(() => node.seq() === 5);
  t.is(node.attempts[0]?.outcome.kind, "delivered");
  t.is(node.asked(), 1);
});

test("an answer of 200 that does not say what is stored settles nothing", async (t) => {
  for (const body of ["<html>welcome</html>", {}, { ack: null }, { ack: "5" }, { ack: 0 }]) {
    await using node = await reportTo(() => [200, body]);
    await node.untilFailed();
    t.is(node.seq(), 0, JSON.stringify(body));
    t.like(node.attempts[0], { failures: 1, outcome: { kind: "rejected" } });
  }
});

test("only what was sent is settled, whatever the collector says that it has", async (t) => {
  await using node = await reportTo((n) =>
    n === 0 ? [409, { error: "gap", expected: 9, ack: 6 }] : [200, { ack: 5 }],
  );
  await node.untilFailed();
  t.true((node.seq() ?? 0) <= 5);
});

test("a collector that asks for records again and again waits longer each time", async (t) => {
  for (const expected of [0, 1, 2, 6, -1, 1.5, 1e300, "1", null]) {
    await using node = await reportTo(() => [409, { error: "gap", expected, nonce: "n" }]);
    await node.untilFailed();
    t.true(node.asked() <= 3, `${String(expected)}: asked ${node.asked()} times`);
    t.false(
      node.attempts.some(({ outcome }) => outcome.kind === "delivered"),
      String(expected),
    );
    t.is(node.queue.state(sinkName)?.attempts, 1);
  }
});

test("a collector that keeps nothing of a fork is not asked at once again", async (t) => {
  for (const quarantined of [0, -1, 0.5, 1e300, "5", 6]) {
    await using node = await reportTo(() => [
      409,
      { error: "fork", seq: 1, quarantined, nonce: "n" },
    ]);
    await until(
      () =>
        node.attempts.some(({ failures }) => failures > 0) ||
        node.asked() >= 30 ||
        node.seq() === 5,
    );
    t.true(node.asked() <= 2, `${String(quarantined)}: asked ${node.asked()} times`);
  }
});

test("a collector that enrols a node and does not know it then is not asked at once again", async (t) => {
  await using node = await reportTo(() => [401, { error: "unknown", nonce: "n" }]);
  await node.untilFailed();
  t.true(node.asked() <= 3, `asked ${node.asked()} times`);
  t.is(node.queue.state(sinkName)?.attempts, 1);
});

test("a clock that is set back while the collector is away does not silence the agent", async (t) => {
  let ahead = 365 * 86_400_000;
  await using node = await reportTo(
    (request) => (request === 0 ? [503, {}] : [200, { ack: 5 }]),
    () => Date.now() + ahead,
  );
  await until(() => node.attempts.length === 1);
  ahead = 0;
  await until(() => node.seq() === 5);
  t.is(node.asked(), 2);
});

test("a request that is too large for a proxy is sent in halves, and one batch again later", async (t) => {
  const tooLarge = [413, "<html>Request Entity Too Large</html>"] as const;
  await using node = await reportTo(
    (request) => (request < 2 ? tooLarge : [200, { ack: 11, nonce: "n" }]),
    Date.now,
    6,
  );
  await until(() => node.seq() === 11 || node.attempts.some(({ failures }) => failures > 0));
  t.is(node.seq(), 11);
  t.is(node.attempts[0]?.records.length, 5, "two batches of eight");
  t.true(node.attempts.every(({ failures }) => failures === 0));
  await using never = await reportTo(() => tooLarge);
  await never.untilFailed();
  t.is(never.attempts[0]?.records.length, 1);
  t.is(never.asked(), 2);
});

test("a collector takes what waits after an outage, however many batches it is", async (t) => {
  await using serving = await startCollector();
  await using stack = new AsyncDisposableStack();
  const dir = mkdtempSync(join(tmpdir(), "fim-report-"));
  stack.defer(() => rmSync(dir, { recursive: true }));
  const joinToken = join(dir, "token");
  writeFileSync(joinToken, await serving.joinToken("cp-1"));
  await using node = await reportTo({ url: serving.url, joinToken }, Date.now, 1200);
  await until(() => node.seq() === 1205 || node.attempts.some(({ failures }) => failures > 0));
  const failed = node.attempts.filter(({ failures }) => failures > 0);
  t.is(failed[0]?.outcome, undefined);
  t.is(node.seq(), 1205);
});
