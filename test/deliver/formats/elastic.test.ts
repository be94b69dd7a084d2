import test from "ava";
import fc from "fast-check";
import { hashRecord } from "../../../src/core/record/chain.ts";
import { textAt } from "../../../src/core/record/fields.ts";
import { elastic } from "../../../src/deliver/formats/elastic.ts";
import {
  alarmOf,
  alertOf,
  anyName,
  hostileNames,
  noticeOf,
  plainContext,
} from "../../helpers/notices.ts";
import { alertRecord, record } from "../../helpers/queue.ts";
import { startService } from "../../helpers/service.ts";
import type { Service } from "../../helpers/service.ts";
import { deliverAll } from "../../helpers/sink.ts";

interface Doc {
  readonly [key: string]: unknown;
  readonly message: string;
}

interface Elastic {
  readonly service: Service;
  readonly stored: Map<string, Doc>;
}

/** Stores by id as Elasticsearch's bulk API documents it; `status` may fail an item. */
async function startElastic(status: (id: string) => number = () => 201): Promise<Elastic> {
  const stored = new Map<string, Doc>();
  const service = await startService(({ path, headers, body }) => {
    const { pathname, searchParams } = new URL(path, "http://es");
    if (!pathname.endsWith("/_bulk")) return { status: 405, body: { error: "no such API" } };
    if (headers["content-type"] !== "application/x-ndjson") return { status: 406, body: {} };
    if (!body.endsWith("\n")) return { status: 400, body: { error: "must end with a newline" } };
    const lines = body.slice(0, -1).split("\n");
    if (lines.length % 2 !== 0) return { status: 400, body: { error: "malformed" } };
    const items = [];
    for (let at = 0; at < lines.length; at += 2) {
      const { create } = JSON.parse(lines[at] ?? "") as {
        create: Readonly<Record<"_id", string>>;
      };
      const doc = JSON.parse(lines[at + 1] ?? "") as Doc;
      const { _id: id } = create;
      const given = stored.has(id) ? 409 : status(id);
      if (given === 201) stored.set(id, doc);
      const error = { type: "some_exception", reason: "the reason" };
      items.push({ create: { status: given, ...(given >= 300 && { error }) } });
    }
    const errors = items.some(({ create }) => create.status >= 300);
    const wanted = searchParams.get("filter_path") !== null;
    // With filter_path, an answer without errors has no items that were asked for but their status.
    return { status: 200, body: wanted ? { errors, items } : { took: 1, errors, items } };
  });
  return { service, stored };
}

const uids = (count: number) =>
  Array.from({ length: count }, (_, at) => `uid-${String(at).padStart(3, "0")}`);

test("documents go to the data stream that the URL names, or to one for logs", (t) => {
  const filter = "?filter_path=";
  for (const [url, path] of [
    ["https://es:9200", "https://es:9200/logs-fim.event-default/_bulk"],
    ["https://es:9200/", "https://es:9200/logs-fim.event-default/_bulk"],
    ["https://es:9200/logs-fim.event-prod/", "https://es:9200/logs-fim.event-prod/_bulk"],
    ["https://es:9200/p/x/_bulk", "https://es:9200/p/x/_bulk"],
  ] as const)
    t.is(elastic.endpoint?.(url).split(filter)[0], path);
});

const headersWith = (token: string) =>
  elastic.message([alertOf("x")], { ...plainContext, secret: { keys: [], token } }).headers;

test("an API key, or a user and a password, are sent as the service wants them", (t) => {
  t.is(headersWith("aGk6")["authorization"], "ApiKey aGk6");
  t.is(headersWith("fim:pass")["authorization"], `Basic ${btoa("fim:pass")}`);
  t.is(headersWith("")["authorization"], undefined);
});

test("all records are stored once, in ECS, through outages, busy items and repeated requests", async (t) => {
  const busy = new Map<string, number>();
  const { service, stored } = await startElastic((id) => {
    const tries = (busy.get(id) ?? 0) + 1;
    busy.set(id, tries);
    return id.endsWith("7") && tries < 3 ? 429 : 201;
  });
  await using _ = service;
  service.interrupt(
    { status: 503, body: "no master" },
    { status: 200, body: '{"errors":true,"items":[' },
    { status: 429, headers: { "retry-after": "0" } },
  );
  const ids = uids(300);
  const { attempts } = await deliverAll(
    { format: "elastic", url: service.url, token: "key" },
    ids.map((uid) => alertRecord(uid)),
  );
  t.deepEqual([...stored.keys()].toSorted(), ids);
  t.true(attempts.some(({ outcome }) => outcome.kind === "partial"));
  t.is(stored.get("uid-007")?.["message"], "cp-1: modified");
  t.true(service.asked.every(({ headers }) => headers["authorization"] === "ApiKey key"));
});

test("a document that the index refuses is given up, with a reason, and the others are stored", async (t) => {
  const { service, stored } = await startElastic((id) => (id === "uid-003" ? 400 : 201));
  await using _ = service;
  const { attempts } = await deliverAll(
    { format: "elastic", url: service.url },
    uids(6).map((uid) => alertRecord(uid)),
  );
  t.is(stored.size, 5);
  t.deepEqual(
    attempts.flatMap(({ givenUp }) => givenUp ?? []),
    [{ count: 1, why: "status 400, some_exception, the reason" }],
  );
});

test("an index that is missing or closed to us loses nothing", async (t) => {
  let tries = 0;
  const { service, stored } = await startElastic(() => ((tries += 1) < 4 ? 403 : 201));
  await using _ = service;
  const { attempts } = await deliverAll({ format: "elastic", url: service.url }, [
    alertRecord("uid-000"),
  ]);
  t.is(stored.size, 1);
  t.is(attempts.filter(({ givenUp }) => givenUp).length, 0);
});

test("a request that is too large is sent in halves", async (t) => {
  const { service, stored } = await startElastic();
  await using _ = service;
  service.interrupt({ status: 413 }, { status: 413 });
  await deliverAll(
    { format: "elastic", url: service.url },
    uids(9).map((uid) => alertRecord(uid)),
  );
  t.is(stored.size, 9);
  t.true((service.asked[1]?.body.length ?? 0) < (service.asked[0]?.body.length ?? 0));
});

function isHarmless(name: string): boolean {
  const alerts = [alertOf(name), alertOf("x")];
  const lines = elastic.message(alerts, plainContext).body.toString().slice(0, -1).split("\n");
  const [create, doc] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const path = textAt(doc, "file", "path");
  return (
    lines.length === 4 &&
    JSON.stringify(create) === JSON.stringify({ create: { _id: alerts[0]?.id } }) &&
    path === `/etc/cron.d/${name.toWellFormed()}`
  );
}

test("no name of a file adds a line or a document", (t) => {
  for (const name of hostileNames) t.true(isHarmless(name), name);
  fc.assert(
    fc.property(
      anyName.filter((name) => name.isWellFormed()),
      isHarmless,
    ),
  );
});

test("an event of an agent and an alarm of a collector are documents too, with the hash of its record", (t) => {
  const bytes = record("agent", { uid: "u", event: "degraded", trouble: "engine" });
  const [, doc = ""] = elastic
    .message([noticeOf(bytes)], plainContext)
    .body.toString()
    .split("\n");
  t.like(JSON.parse(doc), {
    message: "cp-1: agent degraded, engine",
    event: {
      id: "u",
      kind: "event",
      category: ["host"],
      action: ["fim.agent.degraded"],
      hash: hashRecord(bytes),
    },
  });
  const alarm = elastic.message([noticeOf(alarmOf("silent"))], plainContext).body.toString();
  t.like(JSON.parse(alarm.split("\n")[1] ?? ""), {
    event: { kind: "alert", category: ["host"], action: ["fim.collector.silent"] },
    host: { name: "cp-1" },
    orchestrator: { cluster: { name: "lab" } },
  });
});
