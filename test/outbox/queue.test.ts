import test from "ava";
import fc from "fast-check";
import type { Outbox } from "../../src/outbox/outbox.ts";
import { Queue } from "../../src/outbox/queue.ts";
import type { LeaseLimits } from "../../src/core/record/queued.ts";
import { verifyChain } from "../../src/outbox/verify.ts";
import { transact } from "../../src/sqlite/open.ts";
import { State, at as moment } from "../helpers/state.ts";

const all: LeaseLimits = { maxRecords: 1000, maxBytes: 1e9, now: 0 };

interface Place extends Disposable {
  readonly state: State;
  readonly outbox: Outbox;
  readonly queue: Queue;
  add(count: number, filler?: number): void;
  /** Prunes, and notes it in the chain as the agent does. */
  prune(keepBytes: number): number;
}

/** A chain with its first record, and sinks "a" and "b". */
function place(): Place {
  const state = new State();
  const outbox = state.outbox();
  const queue = new Queue(state.db);
  queue.register([
    { name: "a", from: "oldest" },
    { name: "b", from: "oldest" },
  ]);
  return {
    state,
    outbox,
    queue,
    add: (count, filler = 10) => {
      const entry = { kind: "alert", severity: "low", body: () => "x".repeat(filler) } as const;
      transact(state.db, () =>
        outbox.append(
          Array.from({ length: count }, () => entry),
          moment,
        ),
      );
    },
    prune: (keepBytes) =>
      queue.prune({
        keepBytes,
        note: (through) => {
          const body = { event: "pruned", through };
          outbox.append([{ kind: "agent", severity: "info", body: () => body }], moment);
        },
      }),
    [Symbol.dispose]: () => state[Symbol.dispose](),
  };
}

function seqs(leased: readonly { readonly seq: number }[]): number[] {
  return leased.map(({ seq }) => seq);
}

test("records are leased in order until they are settled, and to each sink on its own", (t) => {
  using here = place();
  here.add(4);
  t.deepEqual(seqs(here.queue.lease("a", { ...all, maxRecords: 2 })), [1, 2]);
  t.deepEqual(seqs(here.queue.lease("a", { ...all, maxRecords: 2 })), [1, 2]);
  here.queue.settle("a", 2);
  here.queue.settle("a", 1);
  t.deepEqual(seqs(here.queue.lease("a", all)), [3, 4, 5]);
  t.deepEqual(seqs(here.queue.lease("b", all)), [1, 2, 3, 4, 5]);
  here.queue.settle("a", 99);
  t.deepEqual(seqs(here.queue.lease("a", all)), [3, 4, 5]);
});

test("however leases, settlements, repetitions and restarts mix, each record is delivered once and in order", (t) => {
  fc.assert(
    fc.property(
      fc.array(
        fc.tuple(
          fc.constantFrom("add", "deliver", "lose", "restart", "prune"),
          fc.integer({ min: 1, max: 9 }),
        ),
        {
          minLength: 5,
          maxLength: 25,
        },
      ),
      (steps) => {
        using here = place();
        let { queue } = here;
        const delivered: number[] = [];
        queue.settle("b", 1);
        for (const [step, n] of [...steps, ["deliver", 1000] as const]) {
          const limits = { ...all, maxRecords: n };
          if (step === "add") here.add(n);
          else if (step === "lose") queue.lease("a", limits);
          else if (step === "restart") queue = new Queue(here.state.db);
          else if (step === "prune") queue.prune({ keepBytes: 0, note: () => undefined });
          else {
            const leased = seqs(queue.lease("a", limits));
            delivered.push(...leased);
            const last = leased.at(-1);
            if (last !== undefined) for (const seq of [last, last]) queue.settle("a", seq);
          }
          queue.settle("b", here.outbox.head().seq);
        }
        t.deepEqual(
          delivered,
          Array.from({ length: here.outbox.head().seq }, (_, n) => n + 1),
        );
      },
    ),
    { numRuns: 15 },
  );
});

test("a lease keeps to its bytes, but is never empty while something waits", (t) => {
  using here = place();
  here.add(3, 1000);
  t.is(here.queue.lease("a", { ...all, maxBytes: 1 }).length, 1);
  here.queue.settle("a", 1);
  t.is(here.queue.lease("a", { ...all, maxBytes: 2500 }).length, 2);
});

test("whole batches are leased with their signatures", (t) => {
  using here = place();
  here.add(3);
  here.add(2);
  const spans = (limits: Partial<LeaseLimits>): number[][] =>
    here.queue.leaseBatches("a", { ...all, ...limits }).map(({ first, last, records }) => {
      t.is(records.length, last - first + 1);
      return [first, last];
    });
  t.deepEqual(spans({}), [
    [1, 1],
    [2, 4],
    [5, 6],
  ]);
  t.deepEqual(spans({ maxRecords: 4 }), [
    [1, 1],
    [2, 4],
  ]);
  t.deepEqual(spans({ maxRecords: 1, maxBytes: 1 }), [[1, 1]]);
  here.queue.settle("a", 3);
  t.deepEqual(spans({}), [
    [2, 4],
    [5, 6],
  ]);
  here.queue.settle("a", 6);
  t.deepEqual(spans({}), []);
});

test("a deferred sink gets nothing before its time, through a restart, and success forgets its failures", (t) => {
  using here = place();
  here.queue.defer("a", 3, 1000.5);
  const again = new Queue(here.state.db);
  t.deepEqual(again.lease("a", { ...all, now: 1000 }), []);
  t.like(again.state("a"), { attempts: 3, nextAt: 1001, disabled: false });
  t.is(again.lease("a", { ...all, now: 1001 }).length, 1);
  again.settle("a", 1);
  t.deepEqual(again.state("a"), { seq: 1, attempts: 0, nextAt: 0, disabled: false });
});

test("a disabled sink gets nothing and holds nothing back until it is enabled", (t) => {
  using here = place();
  here.add(5);
  here.queue.disable("a", "410 Gone");
  here.queue.register([
    { name: "a", from: "oldest" },
    { name: "b", from: "oldest" },
  ]);
  t.like(here.queue.state("a"), { disabled: true, reason: "410 Gone" });
  t.deepEqual(here.queue.lease("a", all), []);
  here.queue.settle("b", 6);
  t.deepEqual(here.queue.backlog(), { records: 0, bytes: 0 });
  here.queue.enable("a");
  t.is(here.queue.lease("a", all).length, 6);
  t.is(here.queue.backlog().records, 6);
});

test("a new sink begins at the oldest record or after the newest, and one that left goes on where it was", (t) => {
  using here = place();
  here.add(2);
  here.queue.settle("a", 2);
  here.queue.register([
    { name: "new", from: "head" },
    { name: "all", from: "oldest" },
  ]);
  t.deepEqual(here.queue.lease("new", all), []);
  t.is(here.queue.lease("all", all).length, 3);
  t.is(here.queue.state("a"), undefined);
  t.deepEqual(here.queue.lease("a", all), []);
  here.queue.register([{ name: "a", from: "head" }]);
  t.deepEqual(seqs(here.queue.lease("a", all)), [3]);
});

test("what is pending is the sum of what is not settled", (t) => {
  using here = place();
  here.add(7, 100);
  const sum = (after: number): unknown =>
    here.state.db
      .prepare(
        "SELECT count(*) AS records, ifnull(sum(size), 0) AS bytes FROM record WHERE seq > ?",
      )
      .get(after);
  for (const seq of [0, 1, 4, 7, 8]) {
    here.queue.settle("a", seq);
    t.deepEqual(here.queue.pending("a"), sum(seq));
  }
  t.deepEqual(here.queue.backlog(), sum(0));
  here.queue.settle("b", 5);
  t.deepEqual(here.queue.backlog(), sum(5));
});

test("only what every active sink has is pruned, in whole batches, never the last, and the rest stays sound", (t) => {
  using here = place();
  for (let n = 0; n < 10; n += 1) here.add(10, 500);
  here.queue.settle("a", 101);
  here.queue.settle("b", 45);
  t.is(here.prune(1e9), 0);
  t.is(here.prune(0), 41);
  t.like(verifyChain(here.state.db, [here.state.key.publicKey]), {
    ok: true,
    first: 42,
    last: 102,
  });
  t.is(here.queue.lease("b", all)[0]?.seq, 46);
  for (const name of ["a", "b"]) here.queue.settle(name, 102);
  t.is(here.prune(20_000), 40);
  const kept = here.state.db.prepare<[], number>("SELECT sum(size) FROM record").pluck().get() ?? 0;
  t.true(kept <= 20_000 && kept > 13_000, `${kept}`);
  here.prune(0);
  t.like(verifyChain(here.state.db, [here.state.key.publicKey]), {
    ok: true,
    first: 103,
    last: 104,
  });
  t.is(here.queue.pending("a").records, 2);
});

test("records that were deleted without a signed note fail the verification", (t) => {
  using here = place();
  for (let n = 0; n < 3; n += 1) here.add(10);
  const { db, key } = here.state;
  db.exec("DELETE FROM record WHERE seq <= 11; DELETE FROM batch WHERE last <= 11");
  db.prepare("INSERT INTO meta (key, value) VALUES ('pruned', '11')").run();
  t.deepEqual(verifyChain(db, [key.publicKey]), {
    ok: false,
    seq: 12,
    fault: "records up to 11 are gone, but signed as pruned are those up to 0",
  });
});

test("a cursor or a state that another process altered is put back and reported", (t) => {
  using here = place();
  here.add(4);
  here.queue.settle("a", 2);
  const altered: string[] = [];
  here.queue.onAltered = (sink, found) => altered.push(`${sink}: ${found}`);
  for (const sql of [
    "UPDATE sink SET seq = 1000000 WHERE name = 'a'",
    "UPDATE sink SET state = 'disabled' WHERE name = 'a'",
    "DELETE FROM sink WHERE name = 'a'",
  ]) {
    here.state.db.exec(sql);
    t.deepEqual(seqs(here.queue.lease("a", all)), [3, 4, 5], sql);
  }
  t.deepEqual(altered, [
    "a: its cursor was at 1000000 (active), expected 2 (active)",
    "a: its cursor was at 2 (disabled), expected 2 (active)",
    "a: its row was gone, expected 2 (active)",
  ]);
});

test("a cursor beyond the head is set back when the sinks are registered", (t) => {
  using here = place();
  here.add(4);
  here.state.db.exec("UPDATE sink SET seq = 1000000 WHERE name = 'a'");
  const queue = new Queue(here.state.db);
  const altered: string[] = [];
  queue.onAltered = (sink, found) => altered.push(`${sink}: ${found}`);
  queue.register([{ name: "a", from: "oldest" }]);
  t.deepEqual(altered, ["a: its cursor was at 1000000, beyond the chain's head"]);
  t.deepEqual(seqs(queue.lease("a", all)), [1, 2, 3, 4, 5]);
});

test("room that pruning freed is given back to the disk", (t) => {
  using here = place();
  here.add(400, 10_000);
  const pages = (): number => here.state.db.pragma("page_count", { simple: true }) as number;
  const before = pages();
  for (const name of ["a", "b"]) here.queue.settle(name, 401);
  while (here.prune(0) > 0);
  t.true(pages() < before / 2, `${before} -> ${pages()}`);
});
