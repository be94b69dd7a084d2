import test from "ava";
import { Reporter, alert, send, startCollector } from "../../helpers/collector.ts";

test("values are counted over the alerts that the filters show", async (t) => {
  await using serving = await startCollector();
  const [one, two] = [new Reporter("cp-1"), new Reporter("cp-2")];
  for (const reporter of [one, two]) await reporter.enrol(serving);
  await send(serving, one.batchOf([alert("cp-1", { path: "/etc/a" }), alert("cp-1")]));
  await send(serving, two.batchOf([alert("cp-2", { path: "/etc/a" })]));
  const { status, body } = await serving.read("/v1/counts?acknowledged=false");
  t.is(status, 200);
  t.like(body, { isAll: true, counted: 3 });
  const node = { top: [{ value: "cp-1", cluster: "prod", count: 2 }] };
  t.like(body, { by: { node, path: { top: [{ value: "/etc/a", count: 2 }], distinct: 2 } } });
  const times = body["times"] as readonly { from: string; until: string; count: number }[];
  t.is(
    times.reduce((sum, { count }) => sum + count, 0),
    3,
  );
  t.true(times.every(({ from, until }) => Date.parse(from) < Date.parse(until)));
  const { body: narrow } = await serving.read("/v1/counts?path=/etc/a&node=cp-2&cluster=prod");
  t.like(narrow, { counted: 1, by: { path: { distinct: 1 } } });
});

test("counts need a session, and filters that are known", async (t) => {
  await using serving = await startCollector();
  t.is((await fetch(`${serving.url}/v1/counts`)).status, 401);
  const { status, body } = await serving.read("/v1/counts?severity=odd");
  t.is(status, 400);
  t.regex(String(body["reason"]), /^severity: expected some of/);
});
