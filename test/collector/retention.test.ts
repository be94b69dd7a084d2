import test from "ava";
import pino from "pino";
import { dropOldest, reasonToDrop } from "../../src/collector/retention.ts";
import { Feed } from "../../src/collector/feed.ts";
import { dayLength } from "../../src/collector/store/days.ts";
import { Reporter, send } from "../helpers/collector.ts";
import { onEachStore } from "../helpers/stores.ts";

test("a day is due by its age or the size of the store, the present one never", (t) => {
  const now = Date.UTC(2026, 10, 27, 12);
  const today = Date.UTC(2026, 10, 27);
  const aged = (days: number) => ({ oldest: today - days * dayLength, now, size: 100 });
  t.is(reasonToDrop({}, aged(1000)), undefined);
  t.is(reasonToDrop({ days: 7 }, aged(7)), undefined);
  t.is(reasonToDrop({ days: 7 }, aged(8)), "they are older than 7 days");
  t.is(reasonToDrop({ days: 7, bytes: 99 }, aged(1)), "the store is larger than 99B");
  t.is(reasonToDrop({ bytes: 100 }, aged(1)), undefined);
  t.is(reasonToDrop({ days: 1, bytes: 1 }, aged(0)), undefined);
});

onEachStore(
  "old records are deleted, which is recorded, and their chain goes on",
  async (t, start) => {
    await using serving = await start();
    const reporter = new Reporter();
    await reporter.enrol(serving);
    serving.skew = -5 * dayLength;
    t.is((await send(serving, reporter.batch(2))).status, 200);
    serving.skew = 0;
    t.is((await send(serving, reporter.batch(1))).status, 200);
    const { collector } = serving;
    const log = pino({ level: "silent" });
    const options = { collector, feed: new Feed(), log, keep: { days: 4 }, name: "test" };
    t.true(await dropOldest(options));
    while (await dropOldest(options));
    const types = await serving.types();
    t.is(types.filter((type) => type === "fim.alert.modified").length, 1);
    t.true(types.includes("fim.collector.expired"));
    t.is((await send(serving, reporter.batch())).status, 200);
    t.false((await serving.types()).includes("fim.collector.gap"));
  },
);
