import type { ExecutionContext } from "ava";
import type { AlertColumns, Store } from "../../../src/collector/store/store.ts";
import { isIncluded, proveInclusion } from "../../../src/core/tlog/proof.ts";
import { append as appendLeaf, emptyTree, rootOf } from "../../../src/core/tlog/tree.ts";
import type { OpenedStore } from "./contract.ts";
import { append, batch, columns, enrol, key, name, now } from "./rows.ts";

type Declare = (title: string, body: (t: ExecutionContext) => Promise<void>) => void;

const three = (): readonly AlertColumns[] => [columns(), columns(), columns()];

/** Declares the tests of the store's log, each with an empty store. */
export function testLog(declare: Declare, open: () => Promise<OpenedStore>): void {
  const test = (title: string, body: (t: ExecutionContext, store: Store) => Promise<void>): void =>
    declare(title, async (t) => {
      await using opened = await open();
      await body(t, opened.store);
    });
  const all = { from: 0, to: Number.MAX_SAFE_INTEGER, limit: 100 };

  test("an empty store has an empty log", async (t, { log }) => {
    t.deepEqual(await log.tree(), emptyTree);
    t.deepEqual(await log.leaves(0, 10), []);
    t.deepEqual(await log.batches(all), []);
    t.is(await log.checkpoint("a"), undefined);
    t.is(await log.hashAt({ level: 0, index: 0 }), undefined);
    t.is(await log.leafOf(1), undefined);
  });

  test("each stored record is a leaf of the log, in the order of arrival", async (t, store) => {
    const node = await enrol(store);
    const [one, own, two] = [
      batch(1, three()),
      { ...batch(1), chain: "own/a/1" },
      batch(4, three().slice(1)),
    ];
    await append(store, node, one);
    await append(store, undefined, own);
    await append(store, node, two, { ...batch(6), branch: 1 });
    const hashes = [one, own, two].flatMap(({ records }) => records.map(({ hash }) => hash));
    const { log } = store;
    t.deepEqual((await log.leaves(0, 100)).slice(0, 6), hashes);
    t.deepEqual(await log.leaves(2, 3), hashes.slice(2, 5));
    const tree = await log.tree();
    t.is(tree.size, 7);
    const all7 = await log.leaves(0, 100);
    const built = all7.reduce((edge, leaf) => appendLeaf(edge, leaf).edge, emptyTree);
    t.deepEqual(tree, built);
    const hashAt: Parameters<typeof proveInclusion>[2] = async (place) =>
      (await log.hashAt(place)) ?? t.fail(JSON.stringify(place));
    for (const [index, hash] of all7.entries()) {
      const proof = await proveInclusion(index, 7, hashAt);
      t.true(isIncluded({ index, hash }, { size: 7, root: rootOf(tree) }, proof));
    }
  });

  test("whole batches are read in the order of the log, with the keys of their node", async (t, store) => {
    const [first, second] = [key(), key()];
    await enrol(store, "cp-1", first);
    const node = await enrol(store, "cp-1", second);
    const other = await enrol(store, "cp-2");
    const batches = [
      batch(1, three()),
      { ...batch(1), chain: "prod/cp-2/a" },
      { ...batch(2), branch: 1 },
      { ...batch(1), chain: "own/a/1" },
    ];
    for (const [at, one] of batches.entries())
      await append(store, [node, other, node, undefined][at], one);
    const found = await store.log.batches(all);
    t.deepEqual(
      found.map(({ leaf, chain, branch }) => ({ leaf, chain, branch })),
      [
        { leaf: 0, chain: "prod/cp-1/a", branch: 0 },
        { leaf: 3, chain: "prod/cp-2/a", branch: 0 },
        { leaf: 4, chain: "prod/cp-1/a", branch: 1 },
        { leaf: 5, chain: "own/a/1", branch: 0 },
      ],
    );
    t.deepEqual(
      found.map(({ records }) => records),
      batches.map(({ records }) => records.map(({ bytes }) => bytes)),
    );
    const keys = found[0]?.keys.map(({ keyId }) => keyId).toSorted();
    t.deepEqual(keys, [first.keyId, second.keyId].toSorted());
    t.like(found[0], { envelope: batches[0]?.envelope, enrolment: "{}" });
    t.deepEqual([found[3]?.keys, found[3]?.enrolment], [[], undefined]);
    const leaves = async (query: object): Promise<readonly number[]> =>
      (await store.log.batches({ ...all, ...query })).map(({ leaf }) => leaf);
    t.deepEqual(await leaves({ from: 3, to: 5 }), [3, 4]);
    t.deepEqual(await leaves({ limit: 2 }), [0, 3]);
    t.deepEqual(await leaves({ node: name() }), [0, 4]);
    t.deepEqual(await leaves({ node: name("cp-1", "test") }), []);
  });

  test("batches since a time are those that were received then or later", async (t, store) => {
    const node = await enrol(store);
    for (const at of [1, 2, 3])
      await store.transact(async (tx) => await tx.append(node.id, batch(at), now + at));
    const found = await store.log.batches({ ...all, since: now + 2 });
    t.deepEqual(
      found.map(({ leaf }) => leaf),
      [1, 2],
    );
  });

  test("what a transaction undoes is not in the log; it sees its own leaves", async (t, store) => {
    const node = await enrol(store);
    await append(store, node, batch(1));
    const before = await store.log.tree();
    const undone = store.transact(async (tx) => {
      await tx.append(node.id, batch(2, three()), now);
      t.is((await tx.tree()).size, 4);
      throw new Error("undo");
    });
    await t.throwsAsync(undone, { message: "undo" });
    t.deepEqual(await store.log.tree(), before);
    t.deepEqual((await store.log.leaves(0, 10)).length, 1);
    await append(store, node, batch(2));
    t.is((await store.log.batches(all))[1]?.leaf, 1);
  });

  test("transactions at once leave no hole in the log", async (t, store) => {
    const nodes = await Promise.all(["cp-1", "cp-2", "cp-3"].map((one) => enrol(store, one)));
    await Promise.all(
      Array.from({ length: 30 }, async (_, at) => {
        await append(store, nodes[at % 3], { ...batch(1, three()), chain: `c/${at}` });
      }),
    );
    const { log } = store;
    const leaves = await log.leaves(0, 100);
    t.is(leaves.length, 90);
    t.deepEqual(
      await log.tree(),
      leaves.reduce((edge, leaf) => appendLeaf(edge, leaf).edge, emptyTree),
    );
    t.deepEqual(
      (await log.batches(all)).map(({ leaf }) => leaf),
      Array.from({ length: 30 }, (_, at) => at * 3),
    );
  });

  test("the record of an alert has its leaf", async (t, store) => {
    const node = await enrol(store);
    await append(store, node, batch(1, three()), batch(4, three()));
    const alerts = await store.alerts({ limit: 10 });
    t.deepEqual(
      await Promise.all(alerts.map(({ id }) => store.log.leafOf(id))),
      [5, 4, 3, 2, 1, 0],
    );
  });

  test("the newest checkpoint of an origin is found; one at the same size is not replaced", async (t, store) => {
    const add = (origin: string, size: number, note: string): Promise<void> =>
      store.transact(async (tx) => await tx.addCheckpoint({ origin, size, note }, now));
    await add("a", 9, "nine");
    await add("a", 10, "ten");
    await add("a", 10, "again");
    await add("b", 11, "eleven");
    t.is(await store.log.checkpoint("a"), "ten");
    t.is(await store.log.checkpoint("b"), "eleven");
    for (let size = 20; size < 1100; size += 1) await add("c", size, String(size));
    t.is(await store.log.checkpoint("c"), "1099");
    t.is(await store.log.checkpoint("a"), "ten");
  });
}
