import test from "ava";
import { Reporter, alert, newKey, nonceOf, send, startCollector } from "../../helpers/collector.ts";

type Json = Readonly<Record<string, unknown>>;

test("the summary counts open alerts, states of nodes and the last 24 hours", async (t) => {
  await using serving = await startCollector();
  const [well, drifting, silent] = ["cp-1", "cp-2", "cp-3"].map((node) => new Reporter(node));
  for (const one of [well, drifting, silent]) await one?.enrol(serving);
  serving.skew = 200_000;
  await send(serving, well?.heartbeat(await nonceOf(serving)) ?? "");
  const drift = { info: 0, low: 0, medium: 0, high: 2, critical: 0 };
  await send(serving, drifting?.heartbeat(await nonceOf(serving), { drift }) ?? "");
  await send(serving, well?.batch(3) ?? "");
  const { body: list } = await serving.read("/v1/alerts?limit=1");
  const [one] = list["items"] as { collector: { id: number; uid: string } }[];
  const { store } = serving.collector;
  const stored = await store.alert(one?.collector.uid ?? "");
  const comment = { at: 0, user: "ada", acknowledges: true, text: "" };
  await store.addComment(stored?.id ?? 0, comment);
  const { body } = await serving.read("/v1/summary");
  t.like(body, {
    open: { info: 0, low: 0, medium: 0, high: 2, critical: 0 },
    nodes: { well: 1, silent: 1, degraded: 0, drifting: 1 },
  });
  const hours = body["hours"] as readonly Json[];
  t.is(hours.length, 24);
  t.is(
    hours.reduce((sum, { high }) => sum + Number(high), 0),
    3,
  );
});

test("an alert's record comes with its place in the chain and the signed batch, checked", async (t) => {
  await using serving = await startCollector();
  const reporter = new Reporter("cp-1");
  await reporter.enrol(serving);
  await send(serving, reporter.batch());
  const middle = alert("cp-1", { path: "/etc/middle" });
  const lines = reporter.batchOf([alert("cp-1"), middle, alert("cp-1")]);
  await send(serving, lines);
  const { uid } = middle.body["metadata"] as { uid: string };
  const { body } = await serving.read(`/v1/alerts/${uid}/record`);
  t.like(body, { chain: reporter.chain, branch: 0, seq: 3, batch: { first: 2, last: 4 } });
  t.is(body["fault"], undefined);
  t.is(body["record"], lines.split("\n")[2]);
  t.is((await serving.read("/v1/alerts/nothing/record")).status, 404);
  reporter.key = newKey();
  t.is((await reporter.enrol(serving)).status, 200);
  const { body: again } = await serving.read(`/v1/alerts/${uid}/record`);
  t.is(again["fault"], undefined, "a key that a new enrolment retired signed this record");
});

test("the record of an alarm of the collector is checked with its own key", async (t) => {
  await using serving = await startCollector();
  const reporter = new Reporter("cp-1");
  await send(serving, reporter.batch());
  const { body } = await serving.read("/v1/alerts");
  const [alarm] = body["items"] as { collector: { uid: string } }[];
  const { body: proof } = await serving.read(`/v1/alerts/${alarm?.collector.uid}/record`);
  t.regex(String(proof["chain"]), /^fim-collector\/test\//);
  t.is(proof["fault"], undefined);
  t.truthy(proof["publicKey"]);
});

test("a record that was altered in the store says what is wrong with it", async (t) => {
  await using serving = await startCollector();
  const reporter = new Reporter("cp-1");
  await reporter.enrol(serving);
  const one = alert("cp-1");
  await send(serving, reporter.batchOf([one]));
  const { uid } = one.body["metadata"] as { uid: string };
  serving.alterRecords((record) => record.replace("admin.conf", "other.conf"));
  const { body } = await serving.read(`/v1/alerts/${uid}/record`);
  t.is(body["fault"], "the last record was altered");
});
