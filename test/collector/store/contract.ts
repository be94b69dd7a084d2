import type { ExecutionContext } from "ava";
import { tallies } from "../../../src/collector/store/counts.ts";
import type { AlertQuery, Store } from "../../../src/collector/store/store.ts";
import { append, batch, batchOf, columns, enrol, key, name, now, record } from "./rows.ts";

export interface OpenedStore extends AsyncDisposable {
  readonly store: Store;
}

type Declare = (title: string, body: (t: ExecutionContext) => Promise<void>) => void;

/** Declares the tests of the Store interface, each with an empty store. */
export function testStore(declare: Declare, open: () => Promise<OpenedStore>): void {
  const test = (title: string, body: (t: ExecutionContext, store: Store) => Promise<void>): void =>
    declare(title, async (t) => {
      await using opened = await open();
      await body(t, opened.store);
    });

  test("an enrolled node is found, and no other", async (t, store) => {
    const own = key();
    const node = await enrol(store, "cp-1", own);
    const expected = { cluster: "prod", node: "cp-1", keyId: own.keyId, keys: [own] };
    t.like(node, { ...expected, enrolled: now, heard: now });
    await store.transact(async (tx) => {
      t.deepEqual(await tx.node(name()), node);
      t.is(await tx.node(name("cp-2")), undefined);
      t.is(await tx.node(name("cp-1", "test")), undefined);
    });
    t.deepEqual(await store.nodes(), [node]);
    t.false("chain" in node || "heartbeat" in node || "baseline" in node);
  });

  test("nodes are in the order of cluster and name", async (t, store) => {
    for (const [cluster, node] of [
      ["b", "x"],
      ["a", "y"],
      ["B", "x"],
      ["a", "x"],
    ] as const)
      await store.transact(
        async (tx) =>
          await tx.enrol(name(node, cluster), key(), { envelope: "{}", former: [], now }),
      );
    const names = (await store.nodes()).map(({ cluster, node }) => `${cluster}/${node}`);
    t.deepEqual(names, ["B/x", "a/x", "a/y", "b/x"]);
  });

  test("some nodes are read by their ids, and when each was heard", async (t, store) => {
    const [one, two] = await store.transact(async (tx) => [
      await tx.enrol(name("one"), key(), { envelope: "{}", former: [], now }),
      await tx.enrol(name("two"), key(), { envelope: "{}", former: [], now: now + 1 }),
    ]);
    t.deepEqual(
      (await store.nodes([two.id])).map(({ node, keys }) => [node, keys.length]),
      [["two", 1]],
    );
    t.deepEqual(await store.nodes([]), []);
    const pulses = (await store.pulses()).toSorted((a, b) => a.heard - b.heard);
    t.deepEqual(pulses, [
      { id: one.id, heard: now },
      { id: two.id, heard: now + 1 },
    ]);
  });

  test("former keys stay known; a second enrolment makes all but its own worthless", async (t, store) => {
    const [first, second, third, fourth] = [key(), key(), key(), key()];
    const { id } = await enrol(store, "cp-1", first);
    await store.transact(async (tx) => await tx.replaceKey(id, second, now + 1));
    await store.transact(async (tx) => {
      const node = await tx.node(name());
      t.is(node?.keyId, second.keyId);
      t.deepEqual(node?.keys, [first, second]);
    });
    const again = await store.transact(
      async (tx) =>
        await tx.enrol(name(), fourth, { envelope: "{}", former: [third], now: now + 2 }),
    );
    t.is(again.id, id);
    t.deepEqual(ids(again.keys), ids([third, fourth]));
    const [stored] = await store.nodes();
    t.deepEqual(ids(stored?.keys), ids([third, fourth]));
  });

  test("an enrolment with another key forgets the chain, one with the same key keeps it", async (t, store) => {
    const own = key();
    const { id } = await enrol(store, "cp-1", own);
    await store.transact(async (tx) => await tx.hear(id, { chain: "prod/cp-1/a" }, now));
    t.is((await enrol(store, "cp-1", own)).chain, "prod/cp-1/a");
    t.is((await enrol(store, "cp-1", key())).chain, undefined);
  });

  test("what is newly known of a node is kept, the rest stays", async (t, store) => {
    const { id } = await enrol(store);
    const heartbeat = { envelope: "{}", payload: '{"v":1}' };
    await store.transact(async (tx) => await tx.hear(id, { heartbeat }, now + 1));
    await store.transact(async (tx) => await tx.hear(id, { baseline: '{"counter":1}' }, now + 2));
    await store.transact(async (tx) => await tx.hear(id, { chain: "prod/cp-1/a" }, now + 3));
    t.like((await store.nodes())[0], {
      heartbeat: '{"v":1}',
      baseline: '{"counter":1}',
      chain: "prod/cp-1/a",
      heard: now + 3,
    });
  });

  test("a chain has the head, the key and the branches of its last batches", async (t, store) => {
    const node = await enrol(store);
    const [first, second] = [batch(1), { ...batch(2), nextKeyId: "l" }];
    const [clone, longer] = [
      { ...batch(2), branch: 1 },
      { ...batch(3), branch: 1 },
    ];
    const other = { ...batch(2), branch: 2 };
    await append(store, node, first, second, clone, longer, other);
    await store.transact(async (tx) => {
      t.deepEqual(await tx.chain("prod/cp-1/a"), {
        keyId: "l",
        head: second.head,
        branches: [
          { number: 1, head: longer.head },
          { number: 2, head: other.head },
        ],
      });
      t.is(await tx.chain("prod/cp-1/b"), undefined);
      t.is(await tx.hashOf("prod/cp-1/a", 1), first.head.hash);
      t.is(await tx.hashOf("prod/cp-1/a", 2), second.head.hash, "of the chain, not of a branch");
      t.is(await tx.hashOf("prod/cp-1/a", 3), undefined);
      t.is(await tx.hashOf("prod/cp-1/b", 1), undefined);
    });
  });

  test("an alert has the columns and the bytes that were stored, and the node", async (t, store) => {
    const node = await enrol(store);
    const full = columns({
      severity: "critical",
      change: "modified",
      path: '/etc/\u{1F600}/it\'s "$1" \\ ?',
      rule: "kubeadm/pki",
      incident: "i",
      pod: "kube-system/x",
      program: `/opt/${"\u{1F600}x".repeat(600)}`,
      at: now - 5000,
    });
    const bare = columns();
    const kept = batch(1, [full, bare]);
    await append(store, node, kept);
    const alert = await store.alert(full.uid);
    t.like(alert, { ...full, cluster: "prod", node: "cp-1", received: now, acknowledged: false });
    t.deepEqual(alert?.bytes, kept.records[0]?.bytes);
    const other = await store.alert(bare.uid);
    t.like(other, bare);
    t.false(
      ["change", "path", "rule", "incident", "pod", "program"].some(
        (field) => field in (other ?? {}),
      ),
    );
    t.is(await store.alert("none"), undefined);
  });

  test("bytes are kept as received, whatever they are", async (t, store) => {
    const node = await enrol(store);
    const alert = columns({ path: "/nul" });
    // Records are lines of NDJSON: none holds a line feed.
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at)).filter(
      (byte) => byte !== 10,
    );
    await append(store, node, batchOf(1, [{ ...record(alert), bytes: Buffer.from(bytes) }]));
    t.deepEqual((await store.alert(alert.uid))?.bytes, bytes);
  });

  test("a record without columns is kept and is no alert", async (t, store) => {
    const node = await enrol(store);
    const plain = record();
    await append(store, node, batchOf(1, [plain]));
    t.deepEqual(await store.alerts({ limit: 10 }), []);
    t.is(await store.transact(async (tx) => await tx.hashOf("prod/cp-1/a", 1)), plain.hash);
  });

  test("no alert hides another one with its id: the second is found by its record's hash", async (t, store) => {
    const [node, other] = [await enrol(store), await enrol(store, "cp-2")];
    const alert = columns({ path: "/first" });
    const first = batch(1, [alert]);
    await append(store, node, first);
    const again = batch(2, [{ ...alert, path: "/second" }, columns()]);
    const foreign = { ...batch(1, [{ ...alert, path: "/third" }]), chain: "prod/cp-2/a" };
    await append(store, node, again);
    await append(store, other, foreign);
    t.is((await store.alert(alert.uid))?.path, "/first");
    for (const [one, path] of [
      [again, "/second"],
      [foreign, "/third"],
    ] as const)
      t.is((await store.alert(one.records[0]?.hash ?? ""))?.path, path);
    t.is((await store.alerts({ limit: 10 })).length, 4);
    const twice = columns();
    const both = batch(4, [twice, { ...twice, path: "/in the same batch" }]);
    await append(store, node, both);
    t.is((await store.alert(twice.uid))?.path, undefined);
    t.is((await store.alert(both.records[1]?.hash ?? ""))?.path, "/in the same batch");
  });

  test("a record that a branch repeats is one alert", async (t, store) => {
    const node = await enrol(store);
    const alert = columns();
    const first = batch(1, [alert]);
    await append(store, node, first, { ...first, branch: 1 });
    t.is((await store.alerts({ limit: 10 })).length, 1);
  });

  test("an alarm of the collector is about a node, or about none", async (t, store) => {
    const node = await enrol(store);
    const [about, none] = [columns(), columns()];
    const own = { ...batch(1, [about, none]), chain: "fim-collector/test/a" };
    const records = own.records.map((one, at) => (at === 0 ? { ...one, about: node.id } : one));
    await append(store, undefined, { ...own, records });
    t.like(await store.alert(about.uid), { node: "cp-1", cluster: "prod" });
    t.is((await store.alert(none.uid))?.node, undefined);
  });

  test("alerts come newest first, in pages, or after a known one, oldest first", async (t, store) => {
    const node = await enrol(store);
    const alerts = Array.from({ length: 5 }, (_, at) => columns({ path: `/${at}` }));
    await append(store, node, batch(1, alerts.slice(0, 3)), batch(4, alerts.slice(3)));
    const paths = async (query: Partial<AlertQuery>): Promise<readonly unknown[]> =>
      (await store.alerts({ limit: 10, ...query })).map(({ path }) => path);
    t.deepEqual(await paths({}), ["/4", "/3", "/2", "/1", "/0"]);
    const page = await store.alerts({ limit: 2 });
    const before = page.at(-1)?.id ?? 0;
    t.deepEqual(await paths({ limit: 2, before }), ["/2", "/1"]);
    t.deepEqual(await paths({ after: before, limit: 1 }), ["/4"]);
    t.deepEqual(await paths({ after: (await store.alert(alerts[1]?.uid ?? ""))?.id ?? 0 }), [
      "/2",
      "/3",
      "/4",
    ]);
  });

  test("each part of a query narrows the alerts", async (t, store) => {
    const [one, two] = [await enrol(store, "cp-1"), await enrol(store, "cp-2")];
    const wanted = columns({
      severity: "low",
      change: "created",
      type: "fim.alert.created",
      path: "/etc/[a]/b.conf",
      rule: "r",
      incident: "i",
      pod: "n/p",
      program: "/usr/bin/tee",
      at: now - 1000,
    });
    await append(store, one, batch(1, [wanted]));
    await append(store, two, { ...batch(1, [columns({ path: "/etc/a/b.conf" })]), chain: "x" });
    const queries: readonly Partial<AlertQuery>[] = [
      { cluster: "prod", node: "cp-1" },
      { severities: ["low", "medium"] },
      { change: "created" },
      { type: "fim.alert.created" },
      { path: "/etc/[a]/b.conf" },
      { path: "/etc/[a]/*" },
      { path: "/etc/?a?/b.con?" },
      { rule: "r" },
      { incident: "i" },
      { pod: "n/p" },
      { program: "/usr/bin/tee" },
      { until: now },
      { since: now - 1000, until: now - 999 },
      { node: "cp-1", severities: ["low"], path: "*", acknowledged: false },
    ];
    for (const query of queries) {
      const found = await store.alerts({ limit: 10, ...query });
      t.deepEqual(
        found.map(({ uid }) => uid),
        [wanted.uid],
        JSON.stringify(query),
      );
    }
    const none: readonly Partial<AlertQuery>[] = [
      { cluster: "test" },
      { severities: [] },
      { path: "/etc/%" },
      { path: "/etc/_a_/*" },
      { path: "/etc/.*/?" },
      { path: "/ETC/*" },
      { acknowledged: true },
      { since: now + 1 },
    ];
    for (const query of none)
      t.deepEqual(await store.alerts({ limit: 10, ...query }), [], JSON.stringify(query));
    t.is((await store.alerts({ limit: 10, path: "/etc/*.conf" })).length, 2);
  });

  test("comments come in order, and an acknowledgement closes the alert", async (t, store) => {
    const node = await enrol(store);
    const [first, second] = [columns(), columns({ severity: "low" })];
    await append(store, node, batch(1, [first, second]));
    t.like(await store.openAlerts(), { info: 0, low: 1, high: 1, critical: 0 });
    const id = (await store.alert(first.uid))?.id ?? 0;
    const said = { at: now, user: "ann", acknowledges: false, text: "why?" };
    const done = { at: now, user: "bob", acknowledges: true, text: "" };
    await store.addComment(id, said);
    t.false((await store.alert(first.uid))?.acknowledged);
    await store.addComment(id, done);
    t.deepEqual(await store.comments(id), [said, done]);
    t.true((await store.alert(first.uid))?.acknowledged);
    t.like(await store.openAlerts(), { low: 1, high: 0 });
    const left = await store.alerts({ limit: 10, acknowledged: false });
    t.deepEqual(
      left.map(({ uid }) => uid),
      [second.uid],
    );
  });

  test("an alarm begins once and ends once", async (t, store) => {
    const { id } = await enrol(store);
    const begin = async (): Promise<boolean> =>
      await store.transact(async (tx) => await tx.beginAlarm(id, "silent", now));
    const end = async (): Promise<boolean> =>
      await store.transact(async (tx) => await tx.endAlarm(id, "silent"));
    t.deepEqual([await begin(), await begin()], [true, false]);
    t.deepEqual(await store.alarms(), [{ node: id, what: "silent", since: now }]);
    t.deepEqual([await end(), await end(), await begin()], [true, false, true]);
  });

  test("a token is good once, for its node, until it expires", async (t, store) => {
    await store.addToken("h", { node: "cp-1", expires: now + 1000 });
    const redeem = async (hash: string, node: string, at: number): Promise<boolean> =>
      await store.transact(async (tx) => await tx.redeem(hash, node, at));
    t.false(await redeem("h", "cp-2", now));
    t.false(await redeem("g", "cp-1", now));
    t.false(await redeem("h", "cp-1", now + 1000));
    t.true(await redeem("h", "cp-1", now + 999));
    t.false(await redeem("h", "cp-1", now + 999));
  });

  test("a user has one password; a session ends when it expires or is ended", async (t, store) => {
    const { users } = store;
    t.true(await users.add("ann", "hash", now));
    t.false(await users.add("ann", "other", now));
    t.true(await users.add("bot", undefined, now));
    t.deepEqual(await users.names(), ["ann", "bot"]);
    t.is(await users.password("ann"), "hash");
    t.is(await users.password("bot"), undefined);
    t.is(await users.password("eve"), undefined);
    const page = { user: "ann", kind: "page", expires: now + 1000 } as const;
    await users.addSession("p", { ...page, created: now });
    await users.addSession("t", { user: "bot", kind: "token", created: now });
    t.deepEqual(await users.session("p", now + 999), page);
    t.is(await users.session("p", now + 1000), undefined);
    t.deepEqual(await users.session("t", now + 1e12), { user: "bot", kind: "token" });
    await users.endSession("t");
    t.is(await users.session("t", now), undefined);
  });

  test("a value is read as it was written last", async (t, store) => {
    const read = async (): Promise<string | undefined> =>
      await store.transact(async (tx) => await tx.readMeta("m"));
    t.is(await read(), undefined);
    for (const value of ["1", "2"]) {
      await store.transact(async (tx) => await tx.writeMeta("m", value));
      t.is(await read(), value);
    }
  });

  test("what the work throws is passed on and undoes everything", async (t, store) => {
    const { id, ...node } = await enrol(store);
    await store.addToken("h", { node: "cp-1", expires: now + 1 });
    const work = store.transact(async (tx) => {
      await tx.append(id, batch(1), now);
      await tx.hear(id, { chain: "prod/cp-1/a" }, now + 1);
      await tx.replaceKey(id, key(), now);
      await tx.enrol(name("cp-2"), key(), { envelope: "{}", former: [], now });
      await tx.beginAlarm(id, "gap", now);
      await tx.redeem("h", "cp-1", now);
      await tx.writeMeta("m", "1");
      throw new Error("undo");
    });
    await t.throwsAsync(work, { message: "undo" });
    t.deepEqual(await store.nodes(), [{ id, ...node }]);
    t.deepEqual(await store.alerts({ limit: 10 }), []);
    t.deepEqual(await store.alarms(), []);
    await store.transact(async (tx) => {
      t.is(await tx.chain("prod/cp-1/a"), undefined);
      t.is(await tx.readMeta("m"), undefined);
      t.true(await tx.redeem("h", "cp-1", now));
    });
  });

  test("a work that fails undoes nothing of those beside it", async (t, store) => {
    const { id } = await enrol(store);
    const works = Array.from(
      { length: 9 },
      async (_, at) =>
        await store.transact(async (tx) => {
          await tx.beginAlarm(id, `alarm ${at}`, now);
          if (at % 3 === 1) throw new Error(`undo ${at}`);
          return at;
        }),
    );
    const ended = await Promise.allSettled(works);
    t.deepEqual(
      ended.map((one) => (one.status === "fulfilled" ? one.value : String(one.reason))),
      [0, "Error: undo 1", 2, 3, "Error: undo 4", 5, 6, "Error: undo 7", 8],
    );
    const kept = (await store.alarms()).map(({ what }) => what).toSorted();
    t.deepEqual(
      kept,
      [0, 2, 3, 5, 6, 8].map((at) => `alarm ${at}`),
    );
  });

  test("two transactions on one node are ordered, before it is enrolled and after", async (t, store) => {
    const join = async (): Promise<boolean> =>
      await store.transact(async (tx) => {
        const known = await tx.node(name());
        await tx.enrol(name(), key(), { envelope: "{}", former: [], now });
        return known === undefined;
      });
    const joined = await Promise.all(Array.from({ length: 8 }, join));
    t.is(joined.filter((isFirst) => isFirst).length, 1);
    const extend = async (): Promise<void> =>
      await store.transact(async (tx) => {
        const node = await tx.node(name());
        const head = (await tx.chain("prod/cp-1/a"))?.head;
        await tx.append(node?.id, batch((head?.seq ?? 0) + 1), now);
      });
    await Promise.all(Array.from({ length: 20 }, extend));
    await store.transact(async (tx) => {
      t.is((await tx.chain("prod/cp-1/a"))?.head.seq, 20);
    });
    t.is((await store.alerts({ limit: 100 })).length, 20);
  });

  test("a value that is read to be replaced is read by one transaction at a time", async (t, store) => {
    const count = async (): Promise<void> =>
      await store.transact(async (tx) => {
        const value = Number((await tx.readMeta("count")) ?? 0);
        await tx.writeMeta("count", String(value + 1));
      });
    await Promise.all(Array.from({ length: 20 }, count));
    t.is(await store.transact(async (tx) => await tx.readMeta("count")), "20");
  });

  test("alerts are counted by hour and severity, from the hour that holds the time", async (t, store) => {
    const node = await enrol(store);
    const hour = 3_600_000;
    const first = now - (now % hour);
    const at = [first - 1, first, first + hour - 1, first + hour];
    await append(
      store,
      node,
      batch(
        1,
        at.map((one) => columns({ at: one })),
      ),
    );
    await append(store, node, batch(5, [columns({ at: first, severity: "critical" })]));
    t.deepEqual(await store.alertsByHour(first + 7), [
      { hour: first, severity: "high", count: 2 },
      { hour: first, severity: "critical", count: 1 },
      { hour: first + hour, severity: "high", count: 1 },
    ]);
  });

  test("values are counted among the newest alerts that fit, the most frequent first", async (t, store) => {
    const [one, two] = [await enrol(store, "cp-1"), await enrol(store, "cp-2")];
    const tee = { program: "/usr/bin/tee", rule: "r", pod: "n/p", change: "created" };
    const alerts = [
      columns({ ...tee, path: "/a", severity: "low" }),
      columns({ ...tee, path: "/b" }),
      columns({ path: "/b" }),
    ];
    await append(store, one, batch(1, alerts));
    await append(store, two, { ...batch(1, [columns({ path: "/b" })]), chain: "x" });
    await append(store, undefined, { ...batch(1, [columns()]), chain: "y" });
    const { counted, by } = await store.counts({ limit: 10 });
    t.is(counted, 5);
    t.deepEqual(by.severity, {
      top: [
        { value: "high", count: 4 },
        { value: "low", count: 1 },
      ],
      distinct: 2,
    });
    t.deepEqual(by.node.top, [
      { value: "cp-1", cluster: "prod", count: 3 },
      { value: "cp-2", cluster: "prod", count: 1 },
    ]);
    t.deepEqual(by.path.top, [
      { value: "/b", count: 3 },
      { value: "/a", count: 1 },
    ]);
    t.deepEqual(by.program, { top: [{ value: "/usr/bin/tee", count: 2 }], distinct: 1 });
    t.like(by, { rule: { distinct: 1 }, pod: { distinct: 1 }, change: { distinct: 1 } });
    const filters: readonly Partial<AlertQuery>[] = [
      { node: "cp-1" },
      { path: "/*", node: "cp-1" },
      { path: "/?" },
      { severities: ["high"], acknowledged: false },
      { since: now, until: now + 1 },
    ];
    const found = await Promise.all(
      filters.map(async (query) => (await store.counts({ limit: 3, ...query })).counted),
    );
    t.deepEqual(found, [3, 3, 3, 3, 3], "as many as the limit");
    t.is((await store.counts({ limit: 2 })).by.node.distinct, 1, "the newest");
    t.deepEqual(await store.counts({ limit: 10, node: "none" }), {
      counted: 0,
      by: tallies(() => ({ top: [], distinct: 0 })),
      times: [],
    });
  });

  test("the times of the counted alerts are divided into equal spans", async (t, store) => {
    const node = await enrol(store);
    const minutes = [0, 1, 1, 59, 119, 120];
    const alerts = minutes.map((one) => columns({ at: now - one * 60_000, path: `/${one}` }));
    await append(store, node, batch(1, alerts));
    const { times } = await store.counts({ limit: 10 });
    t.deepEqual(
      times.map(({ count }) => count),
      [2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3],
    );
    t.is(times[0]?.from, now - 120 * 60_000);
    t.true(
      times.every(
        ({ from, until }, at) => until === (times[at + 1]?.from ?? until) && from < until,
      ),
    );
    t.true((times.at(-1)?.until ?? 0) > now);
    const { times: one } = await store.counts({ limit: 10, path: "/59" });
    t.deepEqual(one, [{ from: now - 3_540_000, until: now - 3_539_000, count: 1 }]);
  });

  test("of many values the ten most frequent are named, equal ones in order", async (t, store) => {
    const paths = Array.from({ length: 12 }, (_, at) => `/${String.fromCodePoint(97 + at)}`);
    const alerts = ["/l", ...paths].map((path) => columns({ path }));
    await append(store, await enrol(store), batch(1, alerts));
    const { by } = await store.counts({ limit: 100 });
    t.is(by.path.distinct, 12);
    t.is(by.path.top.map(({ value }) => value).join(""), "/l/a/b/c/d/e/f/g/h/i");
  });

  test("the proof of an alert is its batch, whole and in order", async (t, store) => {
    const node = await enrol(store);
    const alerts = Array.from({ length: 5 }, () => columns());
    const [before, kept, after] = [
      batch(1, alerts.slice(0, 1)),
      batch(2, alerts.slice(1, 4)),
      batch(5, alerts.slice(4)),
    ] as const;
    await append(store, node, before, kept, after);
    const { id = 0 } = (await store.alert(alerts[2]?.uid ?? "")) ?? {};
    t.deepEqual(await store.proof(id), {
      chain: kept.chain,
      branch: 0,
      seq: 3,
      hash: kept.records[1]?.hash,
      envelope: kept.envelope,
      first: 2,
      records: kept.records.map(({ bytes }) => bytes),
    });
    t.is(await store.proof(1e9), undefined);
  });

  test("a token is redeemed by one of many transactions at once", async (t, store) => {
    await store.addToken("h", { node: "cp-1", expires: now + 1 });
    const redeemed = await Promise.all(
      Array.from(
        { length: 8 },
        async () => await store.transact(async (tx) => await tx.redeem("h", "cp-1", now)),
      ),
    );
    t.is(redeemed.filter((one) => one).length, 1);
  });

  test("readers see what was committed, and nothing of a transaction that runs", async (t, store) => {
    const node = await enrol(store);
    await store.transact(async (tx) => {
      await tx.append(node.id, batch(1), now);
      t.deepEqual(await store.alerts({ limit: 10 }), []);
    });
    t.is((await store.alerts({ limit: 10 })).length, 1);
  });

  test("alerts of many transactions at once are read once each by a reader that follows", async (t, store) => {
    const nodes = await Promise.all(["cp-1", "cp-2", "cp-3"].map((one) => enrol(store, one)));
    const seen: number[] = [];
    const follow = async (): Promise<void> => {
      const found = await store.alerts({ after: seen.at(-1) ?? 0, limit: 100 });
      seen.push(...found.map(({ id }) => id));
    };
    const report = async (at: number): Promise<void> => {
      const node = nodes[at % 3];
      await store.transact(async (tx) => {
        await tx.node(name(node?.node));
        await tx.append(node?.id, { ...batch(1, [columns(), columns()]), chain: `c/${at}` }, now);
      });
      await follow();
    };
    await Promise.all(Array.from({ length: 30 }, (_, at) => report(at)));
    await follow();
    t.is(new Set(seen).size, 60);
  });
}

const ids = (keys: readonly { readonly keyId: string }[] = []): readonly string[] =>
  keys.map(({ keyId }) => keyId).toSorted();
