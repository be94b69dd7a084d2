import test from "ava";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { startCollectorProcess } from "../helpers/collector-process.ts";
import { makeNode } from "../helpers/node.ts";
import { startService } from "../helpers/service.ts";
import type { Service } from "../helpers/service.ts";
import { until } from "../helpers/wait.ts";

const patience = 60_000;
const launcher = join(import.meta.dirname, "../../bin/fim-collector");

const textAt = ({ asked }: Service): string => asked.map(({ body }) => body).join("\n");

test("a change on a node reaches the SOC by way of the collector, also when that was killed, and so does silence", async (t) => {
  using node = makeNode({ rules: { "/srv/**": "critical" } });
  node.write("/srv/known", "");
  await node.capture();
  await using splunk = await startService(() => ({ status: 200, body: { code: 0 } }));
  await using pager = await startService(() => ({ status: 202 }));
  const token = node.beside("token");
  writeFileSync(token, "s3cret-token\n", { mode: 0o600 });
  const webhooks = [
    { format: "splunk", url: splunk.url, secret: token, clusters: ["default"] },
    {
      format: "pagerduty",
      url: pager.url,
      secret: token,
      link: "https://fim.example/alerts/{uid}",
    },
  ];
  const file = node.beside("collector.yaml");
  writeFileSync(file, JSON.stringify({ webhooks }), { mode: 0o600 });
  await using collector = await startCollectorProcess(node.beside("collector"), {
    args: ["--config", file],
  });
  const joinToken = node.beside("join-token");
  const { stdout } = await collector.run("token", "--node", hostname());
  writeFileSync(joinToken, stdout, { mode: 0o600 });
  const config = {
    collector: { url: collector.url, joinToken },
    watch: { heartbeatEvery: "1s", quickSweepEvery: "1h" },
  };
  await using watching = await node.watch({ config });
  node.write("/srv/one", "x");
  await until(() => [splunk, pager].every((one) => textAt(one).includes("/srv/one")), patience);
  t.regex(textAt(pager), /https:\/\/fim\.example\/alerts\/[\w-]{36}/);
  await collector.kill9();
  node.write("/srv/two", "x");
  await collector.start();
  await until(() => [splunk, pager].every((one) => textAt(one).includes("/srv/two")), patience);
  await watching.kill9();
  await until(() => textAt(pager).includes("fim.collector.silent"), patience);
  t.regex(textAt(pager), /"dedup_key":"default\/[^"]+\/silent"/);
  t.is(await collector.stop(), 0);
});

test("a collector's configuration is refused with every problem and its line, and no secret", (t) => {
  using node = makeNode({});
  const file = node.beside("collector.yaml");
  const text = `webhooks:
  - { format: splunk, url: "https://splunk.example" }
  - { format: slack, url: "ftp://s3cret@hooks.example" }
sinks: []
`;
  writeFileSync(file, text, { mode: 0o600 });
  const { status, stderr } = spawnSync(
    launcher,
    ["serve", "--state", node.beside("c"), "--config", file],
    { encoding: "utf8" },
  );
  t.is(status, 2);
  t.regex(stderr, /collector\.yaml:2: webhooks\.0\.secret: expected string, found nothing/);
  t.regex(stderr, /collector\.yaml:3: webhooks\.1\.url: expected an http or https URL/);
  t.regex(stderr, /collector\.yaml:4: sinks: there is no such setting/);
  t.notRegex(stderr, /s3cret/);
});
