import test from "ava";
import { Reporter, nonceOf, send, startCollector } from "../../helpers/collector.ts";
import type { Serving } from "../../helpers/collector.ts";

const ca = "/etc/kubernetes/pki/ca.crt";
const kubelet = "/usr/bin/kubelet";

async function join(serving: Serving, node: string, shared: Record<string, string>): Promise<void> {
  const reporter = new Reporter(node);
  await reporter.enrol(serving);
  await send(serving, reporter.heartbeat(await nonceOf(serving), { shared }));
}

test("nodes stand side by side; what differs comes first, with who differs from most", async (t) => {
  await using serving = await startCollector();
  for (const node of ["cp-1", "cp-2", "cp-3"])
    await join(serving, node, { [ca]: node === "cp-2" ? "b" : "a", [kubelet]: "k" });
  const { status, body } = await serving.read("/v1/compare?cluster=prod");
  t.is(status, 200);
  t.like(body, { clusters: ["prod"], cluster: "prod", nodes: ["cp-1", "cp-2", "cp-3"], hidden: 0 });
  const facts = body["facts"] as readonly { readonly fact: string }[];
  t.deepEqual(facts[0] as unknown, {
    fact: ca,
    values: { "cp-1": "a", "cp-2": "b", "cp-3": "a" },
    expected: "a",
    outliers: ["cp-2"],
    severity: "critical",
  });
  t.deepEqual(facts.find(({ fact }) => fact === kubelet) as unknown, {
    fact: kubelet,
    values: { "cp-1": "k", "cp-2": "k", "cp-3": "k" },
    outliers: [],
  });
});

test("without a majority every node differs", async (t) => {
  await using serving = await startCollector();
  await join(serving, "cp-1", { [ca]: "a" });
  await join(serving, "cp-2", { [ca]: "b" });
  const { body } = await serving.read("/v1/compare");
  const [fact] = body["facts"] as readonly Readonly<Record<string, unknown>>[];
  t.deepEqual(fact?.["outliers"], ["cp-1", "cp-2"]);
  t.is(fact?.["expected"], undefined);
});

test("an empty collector compares nothing; an unknown parameter is refused", async (t) => {
  await using serving = await startCollector();
  t.deepEqual((await serving.read("/v1/compare")).body, {
    clusters: [],
    nodes: [],
    hidden: 0,
    facts: [],
  });
  t.is((await serving.read("/v1/compare?node=x")).status, 400);
});
