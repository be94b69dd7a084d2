import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import type { ExecutionContext } from "ava";
import fc from "fast-check";
import { brokenAfter } from "../../src/core/backoff.ts";
import type { Answer, Outcome } from "../../src/core/backoff.ts";
import { Wakeup } from "../../src/deliver/wakeup.ts";
import { deliver } from "../../src/deliver/deliver.ts";
import type { Leased } from "../../src/core/record/queued.ts";
import type { Attempted, Receiver, Sink } from "../../src/deliver/deliver.ts";
import { makeReceiver } from "../../src/deliver/formats/formats.ts";
import { MemoryQueue, alertRecord } from "../helpers/queue.ts";
import { inTurn, peerThat, status } from "../helpers/peer.ts";

const limits = { base: 2, cap: 10, retryAfterCap: 3_600_000 };

interface Loop {
  readonly sink: Sink;
  readonly queue: MemoryQueue;
  readonly wakeup: Wakeup;
  readonly attempts: Attempted[];
  readonly stop: AbortController;
}

function loopOver(to: Receiver, overrides: Partial<Sink> = {}): Loop {
  const queue = new MemoryQueue();
  const wakeup = new Wakeup();
  const attempts: Attempted[] = [];
  const sink: Sink = {
    name: "hook",
    queue,
    receiver: to,
    wakeup,
    clock: Date.now,
    random: Math.random,
    limits,
    onAttempt: (attempt) => attempts.push(attempt),
    ...overrides,
  };
  return { sink, queue, wakeup, attempts, stop: new AbortController() };
}

function webhookTo(t: ExecutionContext, url: string, timeout = 15_000): Receiver {
  const dir = mkdtempSync(join(tmpdir(), "fim-sink-"));
  const secret = join(dir, "keys");
  writeFileSync(secret, `whsec_${Buffer.alloc(32, 7).toString("base64")}\n`, { mode: 0o600 });
  const webhook = makeReceiver(
    { url, secret, format: "standard", minSeverity: "info" },
    { clock: Date.now, warn: (problem) => t.fail(problem), timeout },
  );
  t.teardown(() => {
    webhook[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });
  return webhook;
}

const uids = (n: number) => Array.from({ length: n }, (_, i) => `uid-${i}`);
const idsOf = (received: readonly { headers: Record<string, unknown> }[]) =>
  received.map(({ headers }) => headers["webhook-id"]);

const down: Answer = { kind: "network", detail: "down" };

/** A receiver in memory that answers from a list and then with 200. */
function scripted(answers: readonly Answer[], maxPerPost = 1) {
  const posts: number[][] = [];
  const to: Receiver = {
    maxPerPost,
    wants: () => true,
    post: async (records: readonly Leased[]) => {
      posts.push(records.map(({ seq }) => seq));
      return answers[posts.length - 1] ?? { kind: "status", status: 200 };
    },
  };
  return { to, posts };
}

test("what is queued arrives in order, each once, when the receiver is well", async (t) => {
  await using peer = await peerThat(status(200));
  const { sink, queue, stop } = loopOver(webhookTo(t, peer.url));
  queue.add(...uids(50).map((uid) => alertRecord(uid)));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 50);
  stop.abort();
  t.is(await running, "stopped");
  t.deepEqual(idsOf(peer.received), uids(50));
});

test("a receiver that fails for a while gets everything, in order, with the same id on each attempt", async (t) => {
  await using peer = await peerThat(inTurn(status(500), status(503), status(500), status(200)));
  const { sink, queue, stop, attempts } = loopOver(webhookTo(t, peer.url));
  queue.add(...uids(3).map((uid) => alertRecord(uid)));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 3);
  stop.abort();
  await running;
  t.deepEqual(idsOf(peer.received), ["uid-0", "uid-0", "uid-0", "uid-0", "uid-1", "uid-2"]);
  t.deepEqual(new Set(peer.received.slice(0, 4).map(({ body }) => body)).size, 1);
  t.deepEqual(
    queue.deferred.map((each) => each.attempts),
    [1, 2, 3],
  );
  t.deepEqual(
    attempts.map(({ failures }) => failures),
    [1, 2, 3, 0, 0, 0],
  );
});

test("a hang, a cut answer, a reset and a refused request are all tried again", async (t) => {
  await using peer = await peerThat(
    inTurn(
      () => {},
      (response) => {
        response.writeHead(200, { "content-length": "9" });
        response.write("cut", () => response.destroy());
      },
      (response) => response.destroy(),
      status(404),
      status(302, { location: "http://127.0.0.1:1/" }),
      status(200),
    ),
  );
  const { sink, queue, stop, attempts } = loopOver(webhookTo(t, peer.url, 200));
  queue.add(alertRecord("only"));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 1);
  stop.abort();
  await running;
  t.deepEqual(
    attempts.map(({ outcome, broken }) => [outcome.kind, broken]),
    [
      ["retry", false],
      ["retry", false],
      ["retry", false],
      ["rejected", false],
      ["rejected", true],
      ["delivered", false],
    ],
  );
});

test("a receiver that is down and comes back gets what was queued meanwhile", async (t) => {
  const first = await peerThat(status(200));
  const { sink, queue, stop, wakeup } = loopOver(webhookTo(t, first.url));
  queue.add(alertRecord("before"));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 1);
  await first[Symbol.asyncDispose]();
  queue.add(alertRecord("during-1"), alertRecord("during-2"));
  wakeup.wake();
  await queue.until(() => queue.deferred.length >= 2);
  await using second = await peerThat(status(200), { port: first.port });
  await queue.until(() => queue.settled === 3);
  stop.abort();
  await running;
  t.deepEqual(idsOf(second.received), ["during-1", "during-2"]);
});

test("a wait that the receiver asked for is kept, and the bell does not break it", async (t) => {
  await using peer = await peerThat(inTurn(status(429, { "retry-after": "1" }), status(200)));
  const { sink, queue, stop, wakeup } = loopOver(webhookTo(t, peer.url));
  queue.add(alertRecord("a"));
  const before = Date.now();
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.deferred.length === 1);
  const nextAt = queue.deferred[0]?.nextAt ?? 0;
  t.true(nextAt >= before + 1000);
  for (let round = 0; round < 5; round += 1) wakeup.wake();
  await queue.until(() => queue.settled === 1);
  stop.abort();
  await running;
  t.true(Date.now() >= nextAt);
  t.is(peer.received.length, 2);
});

test("410 disables the sink for good: nothing more is sent, now or after a restart", async (t) => {
  await using peer = await peerThat(status(410));
  const { sink, queue, stop, attempts } = loopOver(webhookTo(t, peer.url));
  queue.add(alertRecord("a"), alertRecord("b"));
  t.is(await deliver(sink, stop.signal), "disabled");
  t.is(queue.reason, "status 410");
  t.is(await deliver(sink, stop.signal), "disabled");
  t.is(peer.received.length, 1);
  t.is(queue.settled, 0);
  t.is(attempts[0]?.outcome.kind, "disabled");
});

test("a restart goes on where the last loop stopped, and keeps its count and its wait", async (t) => {
  const { to, posts } = scripted([]);
  let now = 1_000_000;
  const { sink, queue, stop } = loopOver(to, {
    clock: () => now,
    limits: { ...limits, cap: 60_000 },
  });
  queue.add(alertRecord("a"));
  queue.current = { attempts: 7, nextAt: now + 30_000, disabled: false };
  const running = deliver(sink, stop.signal);
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(posts, []);
  stop.abort();
  await running;
  now += 30_000;
  const again = new AbortController();
  const second = deliver(sink, again.signal);
  await queue.until(() => queue.settled === 1);
  again.abort();
  await second;
  t.deepEqual(posts, [[1]]);
});

test("a clock that was set back does not silence a sink", async (t) => {
  const { to, posts } = scripted([]);
  const { sink, queue, stop } = loopOver(to);
  queue.add(alertRecord("a"));
  queue.current = { attempts: 1, nextAt: Date.now() + 30 * 86_400_000, disabled: false };
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 1);
  stop.abort();
  await running;
  t.deepEqual(posts, [[1]]);
});

test("a clock that is set back during a wait does not prolong it", async (t) => {
  const { to, posts } = scripted([down]);
  let ahead = 1_800_000;
  const { sink, queue, stop } = loopOver(to, {
    clock: () => Date.now() + ahead,
    random: () => 1,
    limits: { base: 100, cap: 100, retryAfterCap: 3_600_000 },
  });
  queue.add(alertRecord("a"));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.deferred.length === 1);
  // The wait has begun.
  await new Promise((resolve) => setImmediate(resolve));
  ahead = 0;
  await queue.until(() => queue.settled === 1);
  stop.abort();
  await running;
  t.deepEqual(posts, [[1], [1]]);
});

test("a new record is posted in the same turn in which the bell rang, without a timer", async (t) => {
  const { to, posts } = scripted([]);
  const { sink, queue, stop, wakeup } = loopOver(to);
  const running = deliver(sink, stop.signal);
  await new Promise((resolve) => setImmediate(resolve));
  queue.add(alertRecord("a"));
  wakeup.wake();
  // Promises only: no timer and no I/O can have run when these have.
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  t.deepEqual(posts, [[1]]);
  stop.abort();
  await running;
});

test("the loop ends promptly on abort while it waits, pauses or posts, and settles nothing more", async (t) => {
  await using hanging = await peerThat(() => {});
  const posting = loopOver(webhookTo(t, hanging.url));
  posting.queue.add(alertRecord("a"));
  const first = deliver(posting.sink, posting.stop.signal);
  await hanging.count(1);
  posting.stop.abort();
  t.is(await first, "stopped");
  t.is(posting.queue.settled, 0);
  t.is(posting.queue.deferred.length, 0);

  const idle = loopOver(scripted([]).to);
  const second = deliver(idle.sink, idle.stop.signal);
  idle.stop.abort();
  t.is(await second, "stopped");

  const slow = { base: 3_600_000, cap: 3_600_000, retryAfterCap: 1 };
  const failing = scripted([down]);
  const pausing = loopOver(failing.to, { limits: slow, random: () => 0.9 });
  pausing.queue.add(alertRecord("a"));
  const third = deliver(pausing.sink, pausing.stop.signal);
  await pausing.queue.until(() => pausing.queue.deferred.length === 1);
  pausing.stop.abort();
  t.is(await third, "stopped");
});

test("a receiver that takes many gets whole batches, and what is done with within a moment is settled as one", async (t) => {
  const { to, posts } = scripted([], 4);
  const wanted = new Set([1, 2, 8, 9, 10, 11, 12, 13]);
  const { sink, queue, stop } = loopOver(
    { ...to, wants: ({ seq }) => wanted.has(seq) },
    { clock: () => 5 },
  );
  queue.add(...uids(15).map((uid) => alertRecord(uid)));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 15);
  stop.abort();
  await running;
  t.deepEqual(posts, [
    [1, 2],
    [8, 9, 10, 11],
    [12, 13],
  ]);
  t.is(queue.settles, 1);
});

test("what was delivered is settled in time, and when the next one fails or is never answered", async (t) => {
  let now = 0;
  const slow = loopOver(scripted([]).to, { clock: () => (now += 60) });
  slow.queue.add(...uids(6).map((uid) => alertRecord(uid)));
  const first = deliver(slow.sink, slow.stop.signal);
  await slow.queue.until(() => slow.queue.settled === 6);
  slow.stop.abort();
  await first;
  t.true(slow.queue.settles >= 3);

  const frozen = { clock: () => 5 };
  const failing = loopOver(scripted([{ kind: "status", status: 200 }, down]).to, frozen);
  failing.queue.add(...uids(3).map((uid) => alertRecord(uid)));
  const second = deliver(failing.sink, failing.stop.signal);
  await failing.queue.until(() => failing.queue.deferred.length === 1);
  t.is(failing.queue.settled, 1);
  failing.stop.abort();
  await second;

  await using peer = await peerThat(inTurn(status(200), () => {}));
  const cut = loopOver(webhookTo(t, peer.url), frozen);
  cut.queue.add(...uids(3).map((uid) => alertRecord(uid)));
  const third = deliver(cut.sink, cut.stop.signal);
  await peer.count(2);
  cut.stop.abort();
  await third;
  t.is(cut.queue.settled, 1);
});

test("whatever the receiver answers, everything is delivered at least once and in order", async (t) => {
  const answer = fc.oneof(
    fc
      .constantFrom(200, 204, 301, 400, 404, 408, 429, 500, 503)
      .map((code): Answer => ({ kind: "status", status: code })),
    fc.constant<Answer>({ kind: "network", detail: "reset" }),
    fc.constant<Answer>({ kind: "timeout", detail: "late" }),
  );
  const quick = { base: 0, cap: 0, retryAfterCap: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { maxLength: 30 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 3 }),
      async (answers, count, maxPerPost) => {
        const { to, posts } = scripted(answers, maxPerPost);
        const { sink, queue, stop } = loopOver(to, { limits: quick });
        queue.add(...uids(count).map((uid) => alertRecord(uid)));
        const running = deliver(sink, stop.signal);
        await queue.until(() => queue.settled === count);
        stop.abort();
        await running;
        const done = posts.filter((_, index) => {
          const given = answers[index];
          return !given || (given.kind === "status" && given.status < 300);
        });
        const delivered = done.flat();
        return delivered.length === count && delivered.every((seq, index) => seq === index + 1);
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});

/** A receiver in memory that takes up to 8 records at once, and judges each request itself. */
function judging(judge: (seqs: readonly number[], post: number) => Outcome) {
  const posts: number[][] = [];
  const to: Receiver = {
    maxPerPost: 8,
    wants: () => true,
    post: async (records) => {
      posts.push(records.map(({ seq }) => seq));
      return { kind: "status", status: 200 };
    },
    judge: () => judge(posts.at(-1) ?? [], posts.length - 1),
  };
  return { to, posts };
}

test("a record that is refused is found by halves and given up after some attempts, and the others arrive", async (t) => {
  const refused: Outcome = { kind: "refused", why: "status 400" };
  const { to, posts } = judging((seqs) => (seqs.includes(6) ? refused : { kind: "delivered" }));
  const { sink, queue, stop, attempts } = loopOver(to);
  queue.add(...uids(8).map((uid) => alertRecord(uid)));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 8);
  stop.abort();
  await running;
  const taken = posts.filter((seqs) => !seqs.includes(6));
  t.deepEqual(taken.flat(), [1, 2, 3, 4, 5, 7, 8]);
  t.is(posts.filter((seqs) => seqs.join() === "6").length, brokenAfter);
  t.is(queue.deferred.length, brokenAfter - 1);
  const given = attempts.filter(({ givenUp }) => givenUp);
  t.deepEqual(
    given.map(({ givenUp, records }) => [givenUp, records.map(({ seq }) => seq)]),
    [[{ count: 1, why: "status 400" }, [6]]],
  );
});

test("after a partial answer the first records are settled and the others sent again", async (t) => {
  const partial: Outcome = {
    kind: "partial",
    settled: 3,
    why: "item 429",
    refused: { count: 1, why: "mapping" },
  };
  const { to, posts } = judging((_, post) => (post < 2 ? partial : { kind: "delivered" }));
  const { sink, queue, stop, attempts } = loopOver(to);
  queue.add(...uids(8).map((uid) => alertRecord(uid)));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 8);
  stop.abort();
  await running;
  t.deepEqual(posts, [
    [1, 2, 3, 4, 5, 6, 7, 8],
    [4, 5, 6, 7, 8],
    [7, 8],
  ]);
  t.deepEqual(
    queue.deferred.map((each) => each.attempts),
    [1, 1],
  );
  t.is(attempts.filter(({ givenUp }) => givenUp?.count === 1).length, 2);
});

test("whatever a receiver judges, each record is settled once, in order", async (t) => {
  const verdict = fc.oneof(
    fc.constantFrom<Outcome>(
      { kind: "delivered" },
      { kind: "refused", why: "no" },
      { kind: "retry", why: "later" },
      { kind: "rejected", why: "never" },
    ),
    fc.nat(7).map((settled): Outcome => ({ kind: "partial", settled, why: "some" })),
  );
  const quick = { base: 0, cap: 0, retryAfterCap: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(verdict, { maxLength: 40 }),
      fc.integer({ min: 1, max: 20 }),
      async (verdicts, count) => {
        const { to, posts } = judging((seqs, post) => {
          const given = verdicts[post] ?? { kind: "delivered" };
          return given.kind === "partial" && given.settled >= seqs.length
            ? { kind: "delivered" }
            : given;
        });
        const { sink, queue, stop } = loopOver(to, { limits: quick });
        queue.add(...uids(count).map((uid) => alertRecord(uid)));
        const running = deliver(sink, stop.signal);
        await queue.until(() => queue.settled === count);
        stop.abort();
        await running;
        const sent = new Set(posts.flat());
        const firsts = posts.map(([first]) => first ?? 0);
        return sent.size === count && firsts.every((first, at) => first >= (firsts[at - 1] ?? 0));
      },
    ),
    { numRuns: 60 },
  );
  t.pass();
});

test("one success ends a row of failures", async (t) => {
  const failed: Answer = { kind: "status", status: 500 };
  const { to } = scripted([failed, failed, { kind: "status", status: 200 }, failed]);
  const { sink, queue, stop, attempts } = loopOver(to);
  queue.add(alertRecord("a"), alertRecord("b"));
  const running = deliver(sink, stop.signal);
  await queue.until(() => queue.settled === 2);
  stop.abort();
  await running;
  t.deepEqual(
    attempts.map(({ failures }) => failures),
    [1, 2, 0, 1, 0],
  );
});
