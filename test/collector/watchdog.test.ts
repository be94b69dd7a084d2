import test from "ava";
import { Reporter, nonceOf, send, startCollector } from "../helpers/collector.ts";
import type { Serving } from "../helpers/collector.ts";
import { until } from "../helpers/wait.ts";

const every = 1000;

async function beat(serving: Serving, reporter: Reporter, ca: string): Promise<void> {
  const shared = { "/etc/kubernetes/pki/ca.crt": ca };
  await send(serving, reporter.heartbeat(await nonceOf(serving), { every, shared }));
}

test("a node with another certificate authority than its cluster raises one alarm, until it has the same", async (t) => {
  await using serving = await startCollector({ watchdog: true });
  const nodes = ["cp-1", "cp-2", "cp-3"].map((name) => new Reporter(name));
  for (const one of nodes) await one.enrol(serving);
  const beatAll = async (last: string): Promise<void> => {
    for (const [at, one] of nodes.entries()) await beat(serving, one, at === 2 ? last : "aa");
  };
  await until(async () => {
    await beatAll("bb");
    return (await serving.types()).includes("fim.collector.outlier");
  }, 20_000);
  const { body } = await serving.read("/v1/alerts?type=fim.collector.outlier");
  t.like((body["items"] as readonly { collector: object }[])[0]?.collector, {
    node: "cp-3",
    severity: "critical",
  });
  await until(async () => {
    await beatAll("aa");
    const { body: all } = await serving.read("/v1/nodes");
    return (all["items"] as readonly { state: string }[]).every(({ state }) => state === "well");
  }, 20_000);
  t.is((await serving.types()).filter((type) => type === "fim.collector.outlier").length, 1);
});

test("a node that sends nothing any more is silent once, and heard again", async (t) => {
  await using serving = await startCollector({ watchdog: true });
  const reporter = new Reporter();
  await reporter.enrol(serving);
  await beat(serving, reporter, "aa");
  await until(async () => (await serving.types()).includes("fim.collector.silent"), 20_000);
  await beat(serving, reporter, "aa");
  await until(async () => (await serving.types()).includes("fim.collector.heard"), 20_000);
  const types = await serving.types();
  t.deepEqual(types.slice(0, 2), ["fim.collector.silent", "fim.collector.heard"]);
});
