import type { ExecutionContext } from "ava";
import { dayLength, dayOf } from "../../../src/collector/store/days.ts";
import type { OpenedStore } from "./contract.ts";
import { batch, columns, enrol, name, now } from "./rows.ts";

type Declare = (title: string, body: (t: ExecutionContext) => Promise<void>) => void;

/** Declares the tests of deleting old days, each with an empty store. */
export function testDays(declare: Declare, open: () => Promise<OpenedStore>): void {
  declare("a day that is dropped takes its records with it; heads and the log stay", async (t) => {
    await using opened = await open();
    const { store } = opened;
    const node = await enrol(store);
    const days = [3, 1, 0].map((age) => now - age * dayLength);
    const batches = days.map((_, at) => batch(at * 2 + 1, [columns(), columns()]));
    for (const [at, one] of batches.entries())
      await store.transact(async (tx) => await tx.append(node.id, one, days[at] ?? now));
    const [old, ...kept] = batches.flatMap(({ records }) => records.slice(0, 1));
    const id = (await store.alert(old?.alert?.uid ?? ""))?.id ?? 0;
    await store.addComment(id, { at: now, user: "ann", acknowledges: true, text: "" });
    const [tree, leaves] = [await store.log.tree(), await store.log.leaves(0, 10)];
    const oldest = (await store.days.oldest()) ?? 0;
    t.is(oldest, dayOf(days[0] ?? 0));

    await store.days.drop(oldest);

    t.is(await store.alert(old?.alert?.uid ?? ""), undefined);
    t.deepEqual(await store.comments(id), []);
    t.is((await store.alerts({ limit: 10 })).length, 4);
    t.true(((await store.days.oldest()) ?? 0) > oldest);
    t.deepEqual(await store.log.tree(), tree);
    t.deepEqual(await store.log.leaves(0, 10), leaves);
    const left = await store.log.batches({ from: 0, to: 10, limit: 10 });
    t.deepEqual(
      left.map(({ leaf }) => leaf),
      [2, 4],
    );
    for (const one of kept)
      t.is((await store.alert(one.alert?.uid ?? ""))?.bytes.equals(one.bytes), true);
    await store.transact(async (tx) => {
      t.is((await tx.node(name()))?.id, node.id);
      t.deepEqual((await tx.chain("prod/cp-1/a"))?.head, batches[2]?.head);
      t.is(await tx.hashOf("prod/cp-1/a", 1), undefined);
      await tx.append(node.id, batch(7), now);
    });
    t.is((await store.log.tree()).size, 7);
    await store.days.drop(oldest);
    t.true((await store.days.size()) > 0);
  });

  declare("a store without records has nothing to drop", async (t) => {
    await using opened = await open();
    await opened.store.days.drop(dayOf(now) - 9 * dayLength);
    t.deepEqual(await opened.store.alerts({ limit: 1 }), []);
  });
}
