import { writeFileSync } from "node:fs";
import test from "ava";
import { formatNames } from "../../src/deliver/formats/names.ts";
import type { FormatName } from "../../src/deliver/formats/names.ts";
import { makeNode } from "../helpers/node.ts";
import type { TestNode } from "../helpers/node.ts";
import { startReceiver } from "../helpers/receiver.ts";
import { startService } from "../helpers/service.ts";
import type { Service } from "../helpers/service.ts";
import { startListener } from "../helpers/syslog.ts";
import type { Listener } from "../helpers/syslog.ts";
import { until } from "../helpers/wait.ts";

const token = "s3cret-token-of-this-test";
const path = "/services/T0/B0/s3cret-path";

/** A success of each service. */
const answers: Readonly<Partial<Record<FormatName, { status: number; body?: unknown }>>> = {
  slack: { status: 200, body: "ok" },
  teams: { status: 202 },
  discord: { status: 204 },
  pagerduty: { status: 202, body: { status: "success" } },
  alertmanager: { status: 200 },
  splunk: { status: 200, body: { text: "Success", code: 0 } },
  elastic: { status: 200, body: { errors: false, items: [] } },
  otlp: { status: 200, body: {} },
};

interface Soc extends AsyncDisposable {
  readonly services: ReadonlyMap<string, Service>;
  readonly syslog: Listener;
  readonly standard: Awaited<ReturnType<typeof startReceiver>>;
  /** The list of sinks, one of each format. */
  readonly webhooks: readonly Record<string, unknown>[];
}

/** One receiver for each format. */
async function startSoc(node: TestNode): Promise<Soc> {
  await using stack = new AsyncDisposableStack();
  const services = new Map<string, Service>();
  for (const [format, answer] of Object.entries(answers))
    services.set(format, stack.use(await startService(() => answer)));
  const syslog = stack.use(await startListener());
  const standard = stack.use(await startReceiver({ secrets: [node.secret] }));
  const secret = node.beside("token");
  writeFileSync(secret, `${token}\n`, { mode: 0o600 });
  const hasToken = new Set(["pagerduty", "alertmanager", "splunk", "elastic", "otlp"]);
  const webhooks = [...services].map(([format, { url }]) => {
    const whole = hasToken.has(format) ? url : `${url}${path}`;
    const urlFile = node.beside(`${format}.url`);
    writeFileSync(urlFile, `${whole}\n`, { mode: 0o600 });
    return { format, urlFile, ...(hasToken.has(format) && { secret }) };
  });
  const owned = stack.move();
  return {
    services,
    syslog,
    standard,
    webhooks: [
      ...webhooks,
      { format: "syslog", url: `tcp://127.0.0.1:${syslog.port}` },
      { format: "standard", url: standard.url, secret: node.secretFile },
    ],
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

/** Each format -> all that arrived for it. */
function arrived({ services, syslog, standard }: Soc): ReadonlyMap<string, string> {
  return new Map([
    ...[...services].map(
      ([format, { asked }]) => [format, asked.map(({ body }) => body).join("\n")] as const,
    ),
    ["syslog", syslog.text()],
    [
      "standard",
      standard
        .accepted()
        .map(({ body }) => String(body))
        .join("\n"),
    ],
  ]);
}

test("webhook test reaches a receiver of every format, and prints why one refuses", async (t) => {
  using node = makeNode({ rules: { "/srv/**": "critical" } });
  node.write("/srv/known", "");
  await node.capture();
  await using soc = await startSoc(node);
  const file = node.beside("config.yaml");
  writeFileSync(file, JSON.stringify({ webhooks: soc.webhooks }), { mode: 0o600 });
  const { code, stdout, stderr } = await node.run("webhook", "test", "--config", file);
  t.is(code, 0, `${stdout}${stderr}`);
  t.is(stdout.match(/^ok /gm)?.length, formatNames.length);
  const found = arrived(soc);
  for (const format of formatNames) t.regex(found.get(format) ?? "", /fim\.agent\.test|agent test/);
  soc.services
    .get("splunk")
    ?.interrupt({ status: 400, body: { text: "Incorrect index", code: 7 } });
  const again = await node.run("webhook", "test", "--config", file);
  t.is(again.code, 1);
  t.regex(
    again.stdout,
    /^!! {2}splunk:127\.0\.0\.1:\d+:\w{8} {2}status 400, code 7, Incorrect index$/m,
  );
  t.notRegex(`${stdout}${stderr}${again.stdout}${again.stderr}`, /s3cret/);
});

test("an agent delivers one change to sinks of every format at once, and shows no secret", async (t) => {
  using node = makeNode({ rules: { "/srv/**": "critical" } });
  node.write("/srv/known", "");
  await node.capture();
  await using soc = await startSoc(node);
  await using watching = await node.watch({ webhooks: soc.webhooks });
  node.write("/srv/new-file", "x");
  await until(
    () => [...arrived(soc).values()].every((text) => text.includes("/srv/new-file")),
    20_000,
  );
  const metrics = await watching.metrics();
  const delivered = [...metrics].filter(
    ([name, value]) =>
      name.startsWith("fim_deliveries_total") && name.includes("delivered") && value > 0,
  );
  t.is(delivered.length, formatNames.length);
  t.is(await watching.stop(), 0);
  t.notRegex(watching.lines.join("\n"), /s3cret/);
  t.notRegex([...metrics.keys()].join("\n"), /s3cret/);
  t.is((await node.run("verify")).code, 0);
  t.notRegex(JSON.stringify(node.records()), /s3cret/);
});
