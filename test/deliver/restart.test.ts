import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Wakeup } from "../../src/deliver/wakeup.ts";
import { deliver } from "../../src/deliver/deliver.ts";
import type { Attempted } from "../../src/deliver/deliver.ts";
import { makeReceiver } from "../../src/deliver/formats/formats.ts";
import { Outbox } from "../../src/outbox/outbox.ts";
import { Queue } from "../../src/outbox/queue.ts";
import { openStateDatabase } from "../../src/node/database.ts";
import { transact } from "../../src/sqlite/open.ts";
import { inTurn, peerThat, status } from "../helpers/peer.ts";

const at = "2026-01-02T03:04:05.678Z";
const limits = { base: 1, cap: 4, retryAfterCap: 3_600_000 };

/** A state directory with a real database and a webhook's keys. */
function stateDir() {
  const dir = mkdtempSync(join(tmpdir(), "fim-deliver-"));
  const { privateKey: key } = generateKeyPairSync("ed25519");
  writeFileSync(join(dir, "keys"), `whsec_${Buffer.alloc(32, 7).toString("base64")}\n`, {
    mode: 0o600,
  });
  return { dir, key };
}

/** One life of an agent's delivery to one webhook: ended by `stop`, after which the database is closed. */
function start(state: ReturnType<typeof stateDir>, url: string) {
  const db = openStateDatabase(join(state.dir, "fim.db"));
  const genesis = { chain: "lab/cp-1/1", at, body: {} };
  const outbox = new Outbox(db, { key: state.key, genesis });
  const queue = new Queue(db);
  queue.register([{ name: "hook", from: "oldest" }]);
  const settings = {
    url,
    secret: join(state.dir, "keys"),
    format: "standard",
    minSeverity: "medium",
  } as const;
  const receiver = makeReceiver(settings, {
    clock: Date.now,
    warn: (problem) => {
      throw new Error(problem);
    },
  });
  const wakeup = new Wakeup();
  const stop = new AbortController();
  const attempts: Attempted[] = [];
  const running = deliver(
    {
      name: "hook",
      queue,
      receiver,
      wakeup,
      limits,
      clock: Date.now,
      random: Math.random,
      onAttempt: (attempt) => attempts.push(attempt),
    },
    stop.signal,
  );
  const alert = (uid: string, severityId: number) => {
    const fim = { change: "modified" };
    const body = () => ({ metadata: { uid }, severity_id: severityId, unmapped: { fim } });
    transact(db, () => outbox.append([{ kind: "alert", severity: "high", body }], at));
    wakeup.wake();
  };
  return {
    alert,
    attempts,
    queue,
    running,
    async stop() {
      stop.abort();
      await running;
      receiver[Symbol.dispose]();
      db.close();
    },
  };
}

test("through failures and restarts every alert arrives at least once, in order, and the low ones do not", async (t) => {
  const state = stateDir();
  t.teardown(() => rmSync(state.dir, { recursive: true }));
  // Every third request fails, and a restart comes in the middle of one that hangs.
  await using peer = await peerThat((response, index) => {
    if (index === 7) return;
    status(index % 3 === 2 ? 503 : 200)(response, index);
  });
  const first = start(state, peer.url);
  for (let n = 0; n < 20; n += 1) first.alert(`uid-${n}`, n % 4 === 3 ? 2 : 4);
  await peer.count(8);
  await first.stop();
  const second = start(state, peer.url);
  second.alert("uid-20", 5);
  // 16 of the 21 are wanted; how many requests that takes depends on which fail.
  const wanted = Array.from({ length: 21 }, (_, n) => n).filter((n) => n === 20 || n % 4 !== 3);
  const last = () => peer.received.at(-1)?.headers["webhook-id"];
  for (let n = 9; last() !== "uid-20"; n += 1) await peer.count(n);
  while (second.queue.pending("hook").records > 0)
    await new Promise((resolve) => setImmediate(resolve));
  await second.stop();
  const ids = peer.received.map(({ headers }) => String(headers["webhook-id"]));
  t.deepEqual(
    [...new Set(ids)],
    wanted.map((n) => `uid-${n}`),
  );
  const order = ids.map((id) => Number(id.slice(4)));
  t.deepEqual(
    order,
    order.toSorted((a, b) => a - b),
  );
});

test("a sink that was disabled by 410 stays so after a restart, until it is enabled", async (t) => {
  const state = stateDir();
  t.teardown(() => rmSync(state.dir, { recursive: true }));
  await using peer = await peerThat(inTurn(status(410), status(200)));
  const first = start(state, peer.url);
  first.alert("uid-0", 5);
  t.is(await first.running, "disabled");
  await first.stop();
  const second = start(state, peer.url);
  t.is(await second.running, "disabled");
  t.is(second.queue.state("hook")?.reason, "status 410");
  second.queue.enable("hook");
  await second.stop();
  const third = start(state, peer.url);
  await peer.count(2);
  await third.stop();
  t.deepEqual(
    peer.received.map(({ headers }) => headers["webhook-id"]),
    ["uid-0", "uid-0"],
  );
});

test("a wait that the receiver asked for outlives a restart", async (t) => {
  const state = stateDir();
  t.teardown(() => rmSync(state.dir, { recursive: true }));
  await using peer = await peerThat(status(429, { "retry-after": "600" }));
  const first = start(state, peer.url);
  first.alert("uid-0", 5);
  await peer.count(1);
  while (first.attempts.length === 0) await new Promise((resolve) => setImmediate(resolve));
  await first.stop();
  const second = start(state, peer.url);
  second.alert("uid-1", 5);
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  t.true((second.queue.state("hook")?.nextAt ?? 0) > Date.now() + 500_000);
  await second.stop();
  t.is(peer.received.length, 1);
});
