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

test("a filter that is unknown or out of range is refused in a sentence", async (t) => {
  await using serving = await startCollector();
  const reasonOf = async (query: string): Promise<unknown> =>
    (await serving.read(`/v1/alerts?${query}`)).body["reason"];
  t.regex(String(await reasonOf("foo=1")), /^unknown filter foo; known are cluster, node, /);
  t.is(await reasonOf("limit=5000"), "limit: expected 1 to 1000");
  t.is(await reasonOf("acknowledged=maybe"), "acknowledged: expected true or false");
  t.is(
    await reasonOf("minSeverity=Hi"),
    "minSeverity: expected one of info, low, medium, high, critical",
  );
  t.is(await reasonOf("node="), "node: expected one word of 1 to 4096 characters");
});
