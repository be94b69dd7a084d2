import test from "ava";
import { Committer } from "../../src/reconcile/commit.ts";
import type { CommitterOptions } from "../../src/reconcile/commit.ts";
import { createState } from "../../src/node/state.ts";
import type { State } from "../../src/node/state.ts";
import { parseRecord } from "../../src/core/record/chain.ts";
import type { JudgedChange } from "../../src/core/change/change.ts";
import type { Look } from "../../src/core/change/compare.ts";
import type { Severity } from "../../src/core/policy/rule.ts";
import { eventContext, judgedOf, seen } from "../helpers/judged.ts";
import { makePlace } from "../helpers/tree.ts";

interface Bench extends Disposable {
  readonly state: State;
  readonly committer: Committer;
  /** A committer as after a restart: only what is stored is left. */
  again(): Committer;
  /** Milliseconds since 1970, as the committer sees it. */
  time: number;
  /** What the chain holds behind its genesis. */
  records(): readonly { readonly kind: string; readonly body: Body }[];
}

type Body = Readonly<Record<string, unknown>> & {
  readonly unmapped?: { readonly fim: Readonly<Record<string, unknown>> };
};

function makeBench(more: Partial<CommitterOptions> = {}): Bench {
  const place = makePlace();
  const state = createState({ state: place.at("state"), node: "cp-1", cluster: "prod" });
  const { uid: _, sequence: __, now: ___, ...context } = eventContext();
  const again = (): Committer =>
    new Committer({ state, context, maxBytes: 1 << 20, now: () => bench.time, ...more });
  const bench: Bench = {
    state,
    committer: again(),
    again,
    time: judgedOf().at,
    records: () =>
      state.db
        .prepare<[], Buffer>("SELECT bytes FROM record WHERE kind <> 'genesis' ORDER BY seq")
        .pluck()
        .all()
        .flatMap((bytes) => {
          const record = parseRecord(bytes);
          return record ? [{ kind: record.kind, body: record.body as Body }] : [];
        }),
    [Symbol.dispose]: () => {
      state[Symbol.dispose]();
      place[Symbol.dispose]();
    },
  };
  return bench;
}

const lookOf = (path: string): Look => ({ path, after: seen() });

function changeOf(
  path: string,
  severity: Severity,
  more: Partial<JudgedChange> = {},
): JudgedChange {
  return judgedOf({ change: { path, kind: "created", after: seen() }, severity, ...more });
}

function many(count: number, severity: Severity): readonly JudgedChange[] {
  return Array.from({ length: count }, (_, at) => changeOf(`/d/${at}`, severity));
}

test("what was seen and what is said of it are stored together", (t) => {
  using bench = makeBench();
  const reported = bench.committer.commit(
    [lookOf("/a"), { path: "/gone", before: seen() }],
    [changeOf("/a", "critical")],
  );
  t.is(reported.length, 1);
  t.deepEqual(bench.state.current.get("/a"), seen());
  const [record, ...others] = bench.records();
  t.deepEqual(others, []);
  t.is(record?.kind, "alert");
  t.is(record?.body.unmapped?.fim["path"], "/a");
  t.like(record?.body["metadata"], { sequence: 2 });
  t.deepEqual(JSON.parse(JSON.stringify(reported[0]?.event)), record?.body);
});

test("what cannot be queued was not seen", (t) => {
  using bench = makeBench();
  bench.state.db.exec(
    "CREATE TRIGGER full BEFORE INSERT ON record BEGIN SELECT RAISE(ABORT, 'no'); END",
  );
  t.throws(() => bench.committer.commit([lookOf("/a")], [changeOf("/a", "critical")]));
  t.is(bench.state.current.get("/a"), undefined);
  t.deepEqual(bench.records(), []);
  bench.state.db.exec("DROP TRIGGER full");
  bench.committer.commit([lookOf("/a")], [changeOf("/a", "critical")]);
  t.is(bench.records().length, 1);
});

test("a look that found nothing new writes nothing", (t) => {
  using bench = makeBench();
  const { changes } = bench.state.db
    .prepare<[], { changes: number }>("SELECT total_changes() AS changes")
    .get() ?? { changes: -1 };
  t.deepEqual(bench.committer.commit([{ path: "/a", before: seen(), after: seen() }], []), []);
  t.deepEqual(bench.committer.commit([{ path: "/b" }], []), []);
  const after = bench.state.db
    .prepare<[], { changes: number }>("SELECT total_changes() AS changes")
    .get();
  t.is(after?.changes, changes);
});

test("a storm gets single alerts at first, then as one alert with a count and examples", (t) => {
  using bench = makeBench();
  t.is(bench.committer.commit([], many(1000, "medium")).length, 200);
  t.is(bench.records().length, 200);
  t.deepEqual(bench.committer.flush(10_000), []);
  bench.time += 10_000;
  const [folded, ...others] = bench.committer.flush(10_000);
  t.deepEqual(others, []);
  t.is(folded?.judged.count, 800);
  t.deepEqual(folded?.judged.examples.slice(0, 2), ["/d/200", "/d/201"]);
  t.is(folded?.judged.examples.length, 10);
  const last = bench.records().at(-1);
  t.is(last?.body.unmapped?.fim["count"], 800);
  t.deepEqual(bench.committer.flush(0), []);
});

test("what is high or critical is never folded, and one rule's storm does not fold another's", (t) => {
  using bench = makeBench();
  t.is(bench.committer.commit([], many(500, "high")).length, 500);
  t.is(bench.committer.commit([], many(300, "low")).length, 200);
  const other = changeOf("/other", "low", { rule: "linux/other" });
  t.is(bench.committer.commit([], [other]).length, 1);
  t.is(bench.records().length, 701);
});

test("changes of different kinds are counted apart", (t) => {
  using bench = makeBench();
  bench.committer.commit([], many(200, "low"));
  const deleted = judgedOf({
    severity: "low",
    change: { path: "/x", kind: "deleted", before: seen() },
  });
  bench.committer.commit([], [...many(3, "low"), deleted, deleted]);
  const folded = bench.committer
    .flush(0)
    .map(({ judged: { change, count } }) => [change.kind, count] as const);
  t.deepEqual(Object.fromEntries(folded), { created: 3, deleted: 2 });
});

test("a count outlives a restart", (t) => {
  using bench = makeBench();
  bench.committer.commit([], many(250, "low"));
  const [folded] = bench.again().flush(0);
  t.is(folded?.judged.count, 50);
});

test("beyond the budget what is not grave is counted, and a record says how many", (t) => {
  using bench = makeBench({ maxBytes: 4000 });
  bench.state.queue.register([{ name: "webhook:soc", from: "head" }]);
  for (let at = 0; at < 5; at += 1) bench.committer.commit([], [changeOf(`/${at}`, "critical")]);
  t.true(bench.state.queue.backlog().bytes > 4000);
  const low = [changeOf("/low/1", "low"), changeOf("/low/2", "low")];
  const reported = bench.committer.commit(
    [lookOf("/low/1"), lookOf("/low/2")],
    [...low, changeOf("/grave", "high")],
  );
  t.deepEqual(
    reported.map(({ judged }) => judged.change.path),
    ["/grave"],
  );
  t.truthy(bench.state.current.get("/low/2"));
  t.deepEqual(bench.committer.flush(0), []);
  const dropped = bench.records().at(-1);
  t.is(dropped?.kind, "dropped");
  t.is(dropped?.body["event"], "dropped");
  t.is(dropped?.body["count"], 2);
  t.is(dropped?.body["severity"], "high");
  t.deepEqual(dropped?.body["of"], [
    { change: "created", severity: "low", count: 2, examples: ["/low/1", "/low/2"] },
  ]);
});

test("what the agent says of itself is a record of its own, with what it was given", (t) => {
  using bench = makeBench();
  bench.committer.announce("degraded", { trouble: "watches", reason: "ENOSPC" }, "high");
  const [record] = bench.records();
  t.is(record?.kind, "agent");
  t.like(record?.body, {
    event: "degraded",
    node: "cp-1",
    severity: "high",
    trouble: "watches",
    reason: "ENOSPC",
  });
  t.regex(String(record?.body["uid"]), /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
});
