import test from "ava";
import { Reporter, send, startCollector } from "../../helpers/collector.ts";

test("a record that was altered in the store does not spoil the list that it is in", async (t) => {
  await using serving = await startCollector();
  const reporter = new Reporter();
  await reporter.enrol(serving);
  await send(serving, reporter.batch(4));
  const damages = ["{}", "no JSON", '{"a":1,"body":[1]}'];
  serving.alterRecords((record, seq) => damages[seq - 1] ?? record);
  const { status, body } = await serving.read("/v1/alerts");
  t.is(status, 200);
  const items = body["items"] as readonly Readonly<Record<string, unknown>>[];
  t.is(items.length, 4);
  t.deepEqual(
    items.map((one) => Object.keys(one).length > 1),
    [true, false, false, false],
    "newest first: the sound one has its event",
  );
});
