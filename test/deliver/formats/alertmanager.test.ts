import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import test from "ava";
import fc from "fast-check";
import { toEvent } from "../../../src/core/record/alert.ts";
import { alertmanager } from "../../../src/deliver/formats/alertmanager.ts";
import { freePort, get } from "../../helpers/http.ts";
import { eventContext, judgedOf, seen } from "../../helpers/judged.ts";
import { missingProgram } from "../../helpers/missing.ts";
import { needing } from "../../helpers/needs.ts";
import {
  alarmOf,
  alertOf,
  anyName,
  hostileNames,
  noticeOf,
  plainContext,
} from "../../helpers/notices.ts";
import { record } from "../../helpers/queue.ts";
import { startService } from "../../helpers/service.ts";
import { deliverAll } from "../../helpers/sink.ts";
import { makePlace } from "../../helpers/tree.ts";
import { until } from "../../helpers/wait.ts";

interface Held {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly endsAt: string;
  readonly generatorURL: string;
}

interface Manager extends AsyncDisposable {
  readonly url: string;
  held(): Promise<readonly Held[]>;
}

/** A real Alertmanager that sends what it holds to a webhook at once. */
async function startAlertmanager(webhook: string): Promise<Manager> {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(makePlace());
  mkdirSync(place.at("data"));
  const config = {
    route: { receiver: "soc", group_by: ["..."], group_wait: "0s", group_interval: "1s" },
    receivers: [{ name: "soc", webhook_configs: [{ url: webhook }] }],
  };
  writeFileSync(place.at("config.yml"), JSON.stringify(config));
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    "prometheus-alertmanager",
    [
      `--config.file=${place.at("config.yml")}`,
      `--storage.path=${place.at("data")}`,
      `--web.listen-address=${address}`,
      "--cluster.listen-address=",
    ],
    { stdio: "ignore" },
  );
  stack.defer(async () => {
    const ended = once(child, "exit");
    if (child.exitCode === null && child.kill()) await ended;
  });
  const url = `http://${address}`;
  await until(async () => {
    const ready = await get(`${url}/-/ready`).catch(() => undefined);
    return ready?.status === 200;
  }, 20_000);
  const owned = stack.move();
  return {
    url,
    held: async () => JSON.parse((await get(`${url}/api/v2/alerts`)).body) as readonly Held[],
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

const real = needing(missingProgram("prometheus-alertmanager"));

const alertRecordOf = (name: string): Buffer => {
  const change = { path: `/etc/cron.d/${name}`, kind: "created", after: seen() } as const;
  const uid = `uid-${Buffer.from(name).toString("hex")}`;
  return record("alert", toEvent(judgedOf({ change }), eventContext({ uid })));
};

const event = (name: string, uid: string): Buffer =>
  record("agent", { uid, event: name, trouble: "engine", reason: "fanotify lost" });

real("a real Alertmanager takes alerts with any name, holds each, and sends them on", async (t) => {
  const notified: string[] = [];
  await using soc = await startService(({ body }) => {
    notified.push(body);
    return { status: 200 };
  });
  await using manager = await startAlertmanager(soc.url);
  const { attempts } = await deliverAll(
    { format: "alertmanager", url: manager.url, link: "https://fim.example/a/{uid}" },
    hostileNames.map(alertRecordOf),
  );
  t.true(attempts.every(({ outcome }) => outcome.kind === "delivered"));
  const held = await until(async () => {
    const all = await manager.held();
    return all.length === hostileNames.length && all;
  });
  t.is(new Set(held.map(({ labels }) => labels["uid"])).size, hostileNames.length);
  t.like(held.find(({ labels }) => labels["path"]?.endsWith("<!channel>"))?.labels, {
    alertname: "FimFileChanged",
    cluster: "lab",
    node: "cp-1",
    severity: "critical",
    rule: "kubeadm/static-pods",
    change: "created",
  });
  t.true(held.every(({ generatorURL }) => generatorURL.startsWith("https://fim.example/a/uid-")));
  t.true(held.every(({ endsAt }) => Date.parse(endsAt) > Date.now()));
  await until(() => notified.length >= hostileNames.length);
});

real("a trouble lasts in a real Alertmanager until its end arrives", async (t) => {
  await using soc = await startService(() => ({ status: 200 }));
  await using manager = await startAlertmanager(soc.url);
  const settings = { format: "alertmanager", url: manager.url } as const;
  await deliverAll(settings, [event("degraded", "a")]);
  await until(async () => (await manager.held()).length === 1);
  t.like((await manager.held())[0], {
    labels: { alertname: "FimAgentDegraded", trouble: "engine", severity: "high" },
    annotations: { reason: "fanotify lost" },
  });
  await deliverAll(settings, [event("recovered", "b")]);
  await until(async () => (await manager.held()).length === 0);
  await deliverAll(settings, [alarmOf("silent"), alarmOf("fork")]);
  await until(async () => (await manager.held()).length === 2);
  await deliverAll(settings, [alarmOf("heard", "info")]);
  const rest = await until(async () => {
    const all = await manager.held();
    return all.length === 1 && all;
  });
  t.like(rest[0], {
    labels: { alertname: "FimAlarm", event: "fim.collector.fork", uid: "uid-fork" },
    annotations: { summary: "cp-1: it is fork", reason: "Two histories of one node" },
  });
});

interface Posted {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

function isHarmless(name: string): boolean {
  const alerts = [alertOf(name), alertOf(name.repeat(100))];
  const body = alertmanager.message(alerts, plainContext).body.toString();
  const posted = JSON.parse(body) as readonly Posted[];
  const texts = posted.flatMap(({ labels, annotations }) => [
    ...Object.values(labels),
    ...Object.values(annotations),
  ]);
  return (
    posted.length === 2 &&
    posted.every(({ labels }) => /^[\w -]+$/.test(Object.keys(labels).join(" "))) &&
    texts.every((text) => !/[\u0000-\u001f\u202a-\u202e]/.test(text) && text.length <= 4000)
  );
}

test("no name of a file adds an alert or a label, or hides in what people read", (t) => {
  for (const name of hostileNames) t.true(isHarmless(name), name);
  fc.assert(fc.property(anyName, isHarmless));
});

const outcome = (status: number) =>
  alertmanager.outcome?.({ kind: "status", status }, { count: 1, now: 0 }).kind;

test("Alertmanager's answers: an invalid alert is refused, an error is tried again", (t) => {
  t.deepEqual([200, 400, 500, 401].map(outcome), ["delivered", "refused", "retry", "rejected"]);
  t.is(noticeOf(event("recovered", "x")).type, "fim.agent.recovered");
});
