import test from "ava";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { get } from "../helpers/http.ts";
import { makeNode, typesOf } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { startReceiver } from "../helpers/receiver.ts";
import { until } from "../helpers/wait.ts";

async function makeKnown(): Promise<TestNode> {
  const node = makeNode({ rules: { "/srv/**": "high" } });
  node.write("/srv/known", "");
  await node.capture();
  return node;
}

/** A configuration for commands that do not watch. */
function configOf(node: TestNode, urls: readonly string[]): readonly string[] {
  const file = node.beside("config.yaml");
  const webhooks = urls.map((url) => ({ url, secret: node.secretFile }));
  writeFileSync(file, JSON.stringify({ webhooks }), { mode: 0o600 });
  return ["--config", file];
}

test("webhook test sends a signed event to each sink, or to the named one, and prints the answer", async (t) => {
  using node = await makeKnown();
  await using good = await node.startReceiver();
  await using bad = await node.startReceiver();
  bad.answer({ status: 500 });
  const config = configOf(node, [good.url, bad.url]);
  const all = await node.run("webhook", "test", ...config);
  t.is(all.code, 1);
  t.regex(all.stdout, /^ok {2}webhook:127\.0\.0\.1:\d+:\w{8} {2}status 204\n!! .* status 500\n$/);
  t.deepEqual(typesOf(good), ["fim.agent.test"]);
  t.like(good.accepted()[0]?.data, { event: "test", severity: "info", cluster: "default" });
  const one = await node.run("webhook", "test", `127.0.0.1:${good.port}`, ...config);
  t.is(one.code, 0);
  t.is(bad.requests.length, 1);
  t.is(good.accepted().length, 2);
  const none = await node.run("webhook", "test", "elsewhere", ...config);
  t.is(none.code, 2);
  t.regex(none.stderr, /no webhook is named elsewhere\nhint: the configured ones are: webhook:127/);
  t.is((await node.run("verify")).code, 0);
});

test("without a webhook, webhook test says what to configure", async (t) => {
  using node = await makeKnown();
  const { code, stderr } = await node.run("webhook", "test");
  t.is(code, 2);
  t.regex(stderr, /no webhook is configured\nhint: list one under webhooks:/);
});

for (const how of ["webhook test", "other keys"] as const)
  test(`after a 410, ${how} enables the webhook again, under a running agent, and the chain says so`, async (t) => {
    using node = await makeKnown();
    const secret = `whsec_${randomBytes(32).toString("base64")}`;
    await using receiver = await startReceiver({ secrets: [node.secret, secret] });
    const webhooks = [{ url: receiver.url, secret: node.secretFile }];
    await using watching = await node.watch({ webhooks });
    const degraded = async (): Promise<number> => {
      const { body } = await get(`http://${watching.listen}/healthz`);
      return (JSON.parse(body) as { degraded: string[] }).degraded.length;
    };
    await receiver.until((accepted) => accepted.length > 0);
    receiver.answer({ status: 410 });
    node.write("/srv/one", "1");
    await until(async () => (await degraded()) === 1);
    receiver.answer({});
    if (how === "webhook test") {
      const { code, stdout } = await node.run("webhook", "test", ...configOf(node, [receiver.url]));
      t.is(code, 0);
      t.regex(stdout, /status 204, enabled again/);
    } else writeFileSync(node.secretFile, `${secret}\n`, { mode: 0o600 });
    await until(async () => (await degraded()) === 0, 30_000);
    node.write("/srv/two", "2");
    const paths = (): string => JSON.stringify(receiver.accepted().map(({ data }) => data));
    await until(() => paths().includes("/srv/one") && paths().includes("/srv/two"), 30_000);
    const recovered = node.records().filter(({ body }) => body["event"] === "recovered");
    t.is(recovered.length, 1);
    t.regex(String(recovered[0]?.body["trouble"]), /^delivery webhook:127/);
    t.false(JSON.stringify(node.records()).includes("altered the sink"));
    t.is(await watching.stop(), 0);
    t.is((await node.run("verify")).code, 0);
  });
