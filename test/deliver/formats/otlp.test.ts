import test from "ava";
import fc from "fast-check";
import { otlp } from "../../../src/deliver/formats/otlp.ts";
import { alertOf, anyName, hostileNames, noticeOf, plainContext } from "../../helpers/notices.ts";
import { alertRecord, record } from "../../helpers/queue.ts";
import { startService } from "../../helpers/service.ts";
import type { Service } from "../../helpers/service.ts";
import { deliverAll } from "../../helpers/sink.ts";

interface Attribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string };
}

interface LogRecord {
  readonly timeUnixNano: string;
  readonly severityNumber: number;
  readonly body: { readonly stringValue: string };
  readonly attributes: readonly Attribute[];
}

interface Request {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] };
    readonly scopeLogs: readonly { readonly logRecords: readonly LogRecord[] }[];
  }[];
}

const attribute = (attributes: readonly Attribute[], name: string): string | undefined => {
  const value = attributes.find(({ key }) => key === name)?.value;
  return value?.stringValue ?? value?.intValue;
};

const recordsOf = (body: string): readonly LogRecord[] =>
  (JSON.parse(body) as Request).resourceLogs.flatMap(({ scopeLogs }) =>
    scopeLogs.flatMap(({ logRecords }) => logRecords),
  );

interface Collector {
  readonly service: Service;
  readonly taken: string[];
}

/** An OTLP receiver that rejects some records, as opentelemetry.io/docs/specs/otlp has it. */
async function startCollector(
  isRejected: (uid: string) => boolean = () => false,
): Promise<Collector> {
  const taken: string[] = [];
  const service = await startService(({ path, headers, body }) => {
    if (path !== "/v1/logs") return { status: 404 };
    if (headers["content-type"] !== "application/json") return { status: 415 };
    const uids = recordsOf(body).map(
      ({ attributes }) => attribute(attributes, "log.record.uid") ?? "",
    );
    const rejected = uids.filter(isRejected);
    taken.push(...uids.filter((uid) => !isRejected(uid)));
    if (rejected.length === 0) return { status: 200, body: {} };
    const partialSuccess = {
      rejectedLogRecords: String(rejected.length),
      errorMessage: "too old",
    };
    return { status: 200, body: { partialSuccess } };
  });
  return { service, taken };
}

const uids = (count: number) => Array.from({ length: count }, (_, at) => `uid-${at}`);

test("all records arrive in order, through answers that ask to try again", async (t) => {
  const { service, taken } = await startCollector();
  await using _ = service;
  service.interrupt(
    { status: 503, headers: { "retry-after": "0" } },
    { status: 429 },
    { status: 502 },
    { status: 504 },
  );
  await deliverAll(
    { format: "otlp", url: service.url, token: "t" },
    uids(300).map((uid) => alertRecord(uid)),
  );
  t.deepEqual(taken, uids(300));
  t.true(service.asked.every(({ headers }) => headers["authorization"] === "Bearer t"));
});

test("what a partial success rejects is counted and not sent again", async (t) => {
  const { service, taken } = await startCollector((uid) => uid === "uid-1");
  await using _ = service;
  const { attempts } = await deliverAll(
    { format: "otlp", url: service.url },
    uids(3).map((uid) => alertRecord(uid)),
  );
  t.deepEqual(taken, ["uid-0", "uid-2"]);
  t.is(service.asked.length, 1);
  t.deepEqual(
    attempts.flatMap(({ givenUp }) => givenUp ?? []),
    [{ count: 1, why: "partial success, too old" }],
  );
});

test("a record has its time, severity, message, techniques and its own text, under its node", (t) => {
  const alert = alertOf("x");
  const request = JSON.parse(otlp.message([alert], plainContext).body.toString()) as Request;
  const [only] = request.resourceLogs;
  t.is(attribute(only?.resource.attributes ?? [], "k8s.node.name"), "cp-1");
  t.is(attribute(only?.resource.attributes ?? [], "k8s.cluster.name"), "lab");
  const [log] = only?.scopeLogs[0]?.logRecords ?? [];
  t.is(log?.timeUnixNano, `${alert.time}000000`);
  t.is(log?.severityNumber, 21);
  t.is(log?.body.stringValue, alert.message);
  const attributes = log?.attributes ?? [];
  t.is(attribute(attributes, "file.path"), "/etc/cron.d/x");
  t.is(attribute(attributes, "process.pid"), "48211");
  t.regex(attribute(attributes, "fim.attack") ?? "", /^T1610 Deploy Container/);
  t.deepEqual(JSON.parse(attribute(attributes, "log.record.original") ?? ""), alert.body);
});

test("a time that 64 bits of nanoseconds do not hold spoils no request", (t) => {
  for (const time of [8.64e15, 18_446_744_073_710, -1, 1e300]) {
    const body = { ...alertOf("x").body, time };
    const request = JSON.parse(
      otlp.message([noticeOf(record("alert", body))], plainContext).body.toString(),
    ) as Request;
    const nanoseconds = request.resourceLogs[0]?.scopeLogs[0]?.logRecords[0]?.timeUnixNano ?? "";
    t.true(BigInt(nanoseconds) < 2n ** 64n, nanoseconds);
  }
});

const outcome = (status: number, body?: unknown) =>
  otlp.outcome?.(
    { kind: "status", status, ...(body !== undefined && { body: JSON.stringify(body) }) },
    { count: 3, now: 0 },
  );

test("only the four statuses of the specification are tried again soon", (t) => {
  for (const status of [429, 502, 503, 504]) t.is(outcome(status)?.kind, "retry");
  for (const status of [401, 403, 404, 500]) t.is(outcome(status)?.kind, "rejected");
  t.is(outcome(400)?.kind, "refused");
  t.deepEqual(outcome(200, { partialSuccess: { errorMessage: "a warning" } }), {
    kind: "delivered",
  });
  for (const rejectedLogRecords of [-1, "x", 1e30, {}])
    t.deepEqual(outcome(200, { partialSuccess: { rejectedLogRecords } }), { kind: "delivered" });
  t.like(outcome(200, { partialSuccess: { rejectedLogRecords: 99 } }), { refused: { count: 3 } });
});

function isHarmless(name: string): boolean {
  const alerts = [alertOf(name), alertOf("x")];
  const records = recordsOf(otlp.message(alerts, plainContext).body.toString());
  const uid = attribute(records[0]?.attributes ?? [], "log.record.uid");
  return records.length === 2 && uid === alerts[0]?.id;
}

test("no name of a file adds a record", (t) => {
  for (const name of hostileNames) t.true(isHarmless(name), name);
  fc.assert(fc.property(anyName, isHarmless));
});
