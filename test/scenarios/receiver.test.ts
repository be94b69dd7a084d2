import test from "ava";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { startReceiver } from "../helpers/receiver.ts";
import type { Receiver } from "../helpers/receiver.ts";
import { until } from "../helpers/wait.ts";
import { alertsOf, makeNode, reportedBy, typesOf } from "../helpers/node.ts";

const patience = 60_000;

async function untilTold(receiver: Receiver, path: string): Promise<void> {
  await receiver.until(
    (accepted) => accepted.some(({ data }) => reportedBy(data)?.path === path),
    patience,
  );
}

/** What the agent says of itself is always sent. */
const isGrave = (body: Readonly<Record<string, unknown>>): boolean =>
  ["high", "critical"].includes(reportedBy(body)?.severity ?? "high");

const raw = (text: string | undefined): Buffer => Buffer.from(text ?? "", "base64url");

const idsOf = (receiver: Receiver): readonly string[] => receiver.accepted().map(({ id }) => id);

test("whatever a receiver does, every record arrives, once for its id, in order", async (t) => {
  using stage = makeNode({ rules: { "/srv/**": "high" } });
  stage.write("/srv/known", "");
  await stage.capture();
  let receiver = await stage.startReceiver();
  try {
    const webhooks = [{ url: receiver.url, secret: stage.secretFile }];
    const troubles = [
      { name: "500", answer: { status: 500 }, times: 2 },
      { name: "404", answer: { status: 404 }, times: 1 },
      { name: "429", answer: { status: 429, headers: { "retry-after": "2" } }, times: 1 },
      { name: "redirect", answer: { status: 302, headers: { location: "/other" } }, times: 1 },
      { name: "closing", answer: "close", times: 2 },
      { name: "half-an-answer", answer: "close-mid-body", times: 1 },
      { name: "late", answer: { delay: 500 }, times: 1 },
      { name: "hanging", answer: "hang", times: 1 },
    ] as const;
    await using watching = await stage.watch({ webhooks });
    await receiver.until((accepted) => accepted.length > 0);
    for (const { name, answer, times } of troubles) {
      const seen = receiver.requests.length;
      receiver.answer(answer);
      stage.write(`/srv/${name}`, name);
      stage.write(`/srv/${name}-too`, name);
      await until(() => receiver.requests.length >= seen + times, patience);
      receiver.answer({});
      await untilTold(receiver, `/srv/${name}`);
      await untilTold(receiver, `/srv/${name}-too`);
      if (name === "429") {
        const [asked, next] = receiver.requests.slice(seen);
        t.true(asked && next && next.at - asked.at >= 2000, "Retry-After is honoured");
      }
    }
    t.is(await watching.stop(), 0);

    const heard = [...idsOf(receiver)];
    const { port } = receiver;
    await receiver.stop();
    await using other = await stage.watch({ webhooks });
    stage.write("/srv/down", "down");
    await until(
      async () => ((await other.metrics()).get("fim_outbox_records") ?? 0) >= 2,
      patience,
    );
    receiver = await stage.startReceiver({ port });
    receiver.answer({ status: 503 });
    await until(() => receiver.requests.length > 0, patience);
    await other.kill9();
    receiver.answer({});
    await using last = await stage.watch({ webhooks });
    await untilTold(receiver, "/srv/down");
    t.is(await last.stop(), 0);
    heard.push(...idsOf(receiver));
    const chain = stage.records().map(({ id }) => id);
    t.deepEqual([...new Set(heard)], chain);
  } finally {
    await receiver.stop();
  }
});

test("410 disables a webhook for good, the others are reported, and go on", async (t) => {
  using stage = makeNode({ rules: { "/srv/**": "high" } });
  stage.write("/srv/known", "");
  await stage.capture();
  await using leaving = await stage.startReceiver();
  await using staying = await stage.startReceiver();
  const webhooks = [leaving, staying].map(({ url }) => ({ url, secret: stage.secretFile }));
  {
    await using watching = await stage.watch({ webhooks });
    await leaving.until((accepted) => accepted.length > 0);
    leaving.answer({ status: 410 });
    stage.write("/srv/one", "1");
    await untilTold(staying, "/srv/one");
    await staying.until((accepted) =>
      accepted.some(
        ({ type, data }) =>
          type === "fim.agent.degraded" && JSON.stringify(data).includes(String(leaving.port)),
      ),
    );
    const said = watching.logs().filter((line) => JSON.stringify(line).includes("disabled"));
    t.true(said.length > 0);
    t.is(await watching.stop(), 0);
  }
  const asked = leaving.requests.length;
  t.is(leaving.requests.filter(({ answered }) => answered === 410).length, 1);
  leaving.answer({});
  await using again = await stage.watch({ webhooks });
  stage.write("/srv/two", "2");
  await untilTold(staying, "/srv/two");
  t.is(await again.stop(), 0);
  t.is(leaving.requests.length, asked);
});

test("a webhook with minSeverity gets the moreSevere alerts and all that the agent says of itself", async (t) => {
  using stage = makeNode({
    rules: {
      "/srv/low/**": "low",
      "/srv/medium/**": "medium",
      "/srv/high/**": "high",
      "/srv/critical/**": "critical",
    },
  });
  const severities = ["low", "medium", "high", "critical"];
  for (const severity of severities) stage.write(`/srv/${severity}/known`, "");
  await stage.capture();
  await using all = await stage.startReceiver();
  await using grave = await stage.startReceiver();
  const webhooks = [
    { url: all.url, secret: stage.secretFile },
    { url: grave.url, secret: stage.secretFile, minSeverity: "high" as const },
  ];
  await using watching = await stage.watch({ webhooks });
  for (const severity of severities) stage.write(`/srv/${severity}/new`, severity);
  for (const severity of severities) await untilTold(all, `/srv/${severity}/new`);
  t.is(await watching.stop(), 0);
  const chain = stage.records();
  t.deepEqual(
    idsOf(all),
    chain.map(({ id }) => id),
  );
  t.deepEqual(
    idsOf(grave),
    chain.filter(({ body }) => isGrave(body)).map(({ id }) => id),
  );
  t.deepEqual([...new Set(alertsOf(grave).map(({ path }) => path))].toSorted(), [
    "/srv/critical/new",
    "/srv/high/new",
  ]);
  for (const type of ["fim.agent.baseline", "fim.agent.started", "fim.agent.stopped"])
    t.true(typesOf(grave).includes(type), type);
});

test("every key in the file signs, as standardwebhooks and Ed25519 verify it, and new keys are taken up", async (t) => {
  using stage = makeNode({ rules: { "/srv/**": "high" } });
  stage.write("/srv/known", "");
  await stage.capture();
  const secrets = [24, 64].map((size) => `whsec_${randomBytes(size).toString("base64")}`);
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const jwk = privateKey.export({ format: "jwk" });
  const signing = `whsk_${Buffer.concat([raw(jwk.d), raw(jwk.x)]).toString("base64")}`;
  const verifying = `whpk_${raw(publicKey.export({ format: "jwk" }).x).toString("base64")}`;
  const file = join(stage.dir, "keys");
  writeFileSync(file, `# old and new\n${secrets.join("\n")}\n\n${signing}\n`, { mode: 0o600 });
  const receivers = [
    await startReceiver({ secrets: secrets.slice(0, 1), publicKeys: [verifying] }),
    await startReceiver({ secrets: secrets.slice(1) }),
  ];
  const [first, second] = receivers;
  try {
    if (!first || !second) throw new Error("two receivers were started");
    const webhooks = receivers.map(({ url }) => ({ url, secret: file }));
    await using watching = await stage.watch({ webhooks });
    stage.write("/srv/one", "1");
    for (const receiver of receivers) await untilTold(receiver, "/srv/one");
    for (const { body, headers } of first.accepted())
      for (const secret of secrets)
        t.notThrows(() =>
          new Webhook(secret).verify(body.toString(), headers as Record<string, string>),
        );
    for (const receiver of receivers)
      t.deepEqual(
        receiver.requests.map(({ fault }) => fault),
        receiver.requests.map(() => undefined),
      );
    const next = `whsec_${randomBytes(32).toString("base64")}`;
    writeFileSync(file, `${next}\n`, { mode: 0o600 });
    const asked = first.requests.length;
    first.answer({});
    stage.write("/srv/two", "2");
    await until(() => first.requests.length > asked, patience);
    const [request] = first.requests.slice(asked);
    t.notThrows(() =>
      new Webhook(next).verify(
        String(request?.body),
        (request?.headers ?? {}) as Record<string, string>,
      ),
    );
    t.is(request?.fault, "no v1 signature by a known secret");
    t.is(await watching.stop(), 0);
  } finally {
    for (const receiver of receivers) await receiver.stop();
  }
});
