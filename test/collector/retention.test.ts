import test from "ava";
import pino from "pino";
import { dropOldest, mayWait, reasonToDrop } from "../../src/collector/retention.ts";
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
    const common = { collector, feed: new Feed(), log, name: "test" };
    const options = { ...common, keep: { days: 4 }, behind: async () => [] };
    t.true(await dropOldest(options));
    while (await dropOldest(options));
    const types = await serving.types();
    t.is(types.filter((type) => type === "fim.alert.modified").length, 1);
    t.true(types.includes("fim.collector.expired"));
    t.is((await send(serving, reporter.batch())).status, 200);
    t.false((await serving.types()).includes("fim.collector.gap"));
  },
);

test("a day that is only too old waits a week for the sinks; one that takes room does not", (t) => {
  const now = Date.UTC(2026, 10, 27, 12);
  const aged = (days: number) => ({
    oldest: now - (now % dayLength) - days * dayLength,
    now,
    size: 100,
  });
  t.true(mayWait({ days: 7 }, aged(14)));
  t.false(mayWait({ days: 7 }, aged(15)));
  t.false(mayWait({ days: 7, bytes: 99 }, aged(8)));
  t.false(mayWait({ bytes: 99 }, aged(1)));
});

onEachStore(
  "a day that a sink has not delivered stays for a week, and is not deleted in silence",
  async (t, start) => {
    await using serving = await start();
    const reporter = new Reporter();
    await reporter.enrol(serving);
    serving.skew = -20 * dayLength;
    t.is((await send(serving, reporter.batch(2))).status, 200);
    serving.skew = -6 * dayLength;
    t.is((await send(serving, reporter.batch(1))).status, 200);
    const { collector } = serving;
    const asked: number[] = [];
    const options = {
      collector,
      feed: new Feed(),
      log: pino({ level: "silent" }),
      keep: { days: 5 },
      name: "test",
      behind: async (alertId: number) => {
        asked.push(alertId);
        return alertId > 0 ? ["soc"] : [];
      },
    };
    serving.skew = -14 * dayLength;
    t.false(await dropOldest(options), "six days old, one more than are kept");
    serving.skew = 0;
    t.true(await dropOldest(options), "too old by more than a week");
    // On PostgreSQL, days without records have tables, too.
    while (await dropOldest(options));
    const { body } = await serving.read("/v1/alerts?type=fim.collector.expired&severity=high");
    const [said, ...more] = body["items"] as readonly { message: string; severity_id: number }[];
    t.deepEqual(more, []);
    t.regex(said?.message ?? "", /they are older than 5 days; not delivered by soc/);
    t.is(said?.severity_id, 4);
    const [second = 0, third = 0] = [asked[0], asked.at(-1)];
    t.true(second > 0 && second === asked[1] && third > second);
  },
);

onEachStore(
  "an agent that did not get the answer before its records were deleted gets it then",
  async (t, start) => {
    await using serving = await start();
    const reporter = new Reporter();
    await reporter.enrol(serving);
    serving.skew = -5 * dayLength;
    const lines = reporter.batch(2);
    t.is((await send(serving, lines)).status, 200);
    serving.skew = 0;
    const { collector } = serving;
    const log = pino({ level: "silent" });
    const common = { collector, feed: new Feed(), log, name: "test" };
    while (await dropOldest({ ...common, keep: { days: 4 }, behind: async () => [] }));
    const { status, body } = await send(serving, lines);
    t.is(status, 200);
    t.is(body["ack"], 2);
    t.false((await serving.types()).includes("fim.collector.fork"));
  },
);
