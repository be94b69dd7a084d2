import test from "ava";
import fc from "fast-check";
import { bodyText } from "../../../src/core/record/chain.ts";
import { splunk } from "../../../src/deliver/formats/splunk.ts";
import { alertOf, anyName, hostileNames, noticeOf, plainContext } from "../../helpers/notices.ts";
import { alertRecord, record } from "../../helpers/queue.ts";
import { startService } from "../../helpers/service.ts";
import type { Service } from "../../helpers/service.ts";
import { deliverAll } from "../../helpers/sink.ts";

interface HecEvent {
  readonly time: number;
  readonly host: string;
  readonly sourcetype: string;
  readonly fields: Readonly<Record<string, string>>;
  readonly event: Readonly<Record<string, unknown>>;
}

/** Objects of JSON with nothing between them, as the collector reads them. Undefined: malformed. */
function readConcatenated(text: string): readonly unknown[] | undefined {
  const found: unknown[] = [];
  let [from, depth, isText, isEscaped] = [0, 0, false, false];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (isText) {
      if (isEscaped) isEscaped = false;
      else if (character === "\\") isEscaped = true;
      else if (character === '"') isText = false;
    } else if (character === '"') isText = true;
    else if (character === "{") depth += 1;
    else if (character === "}" && --depth === 0) {
      found.push(JSON.parse(text.slice(from, at + 1)));
      from = at + 1;
    }
  }
  return from === text.length ? found : undefined;
}

const answer = (status: number, code: number, text: string) => ({ status, body: { text, code } });

interface Splunk {
  readonly service: Service;
  readonly indexed: HecEvent[];
}

const uidOf = ({ event }: HecEvent): string =>
  String((event["metadata"] as { uid?: string } | undefined)?.uid);

/** Answers as help.splunk.com documents; one event that `isBad` makes the whole request fail with code 6. */
async function startSplunk(
  token: string,
  isBad: (event: HecEvent) => boolean = () => false,
): Promise<Splunk> {
  const indexed: HecEvent[] = [];
  const service = await startService(({ path, headers, body }) => {
    if (path !== "/services/collector/event") return { status: 404 };
    if (headers.authorization === undefined) return answer(401, 2, "Token is required");
    if (!headers.authorization.startsWith("Splunk "))
      return answer(401, 3, "Invalid authorization");
    if (headers.authorization !== `Splunk ${token}`) return answer(403, 4, "Invalid token");
    if (body === "") return answer(400, 5, "No data");
    const events = readConcatenated(body) as readonly HecEvent[] | undefined;
    if (!events || events.some(isBad)) return answer(400, 6, "Invalid data format");
    if (events.some(({ event }) => event === undefined))
      return answer(400, 12, "Event field is required");
    indexed.push(...events);
    return answer(200, 0, "Success");
  });
  return { service, indexed };
}

const uids = (count: number) => Array.from({ length: count }, (_, at) => `uid-${at}`);

test("all events are indexed in order, with their time, place and severity, through a busy server", async (t) => {
  const { service, indexed } = await startSplunk("secret-token");
  await using _ = service;
  service.interrupt(
    { status: 503, body: { text: "Server is busy", code: 9 } },
    { status: 500, body: { text: "Internal server error", code: 8 } },
    { status: 429 },
  );
  await deliverAll(
    { format: "splunk", url: service.url, token: "secret-token" },
    uids(300).map((uid) => alertRecord(uid)),
  );
  t.deepEqual(indexed.map(uidOf), uids(300));
  t.like(indexed[0], {
    time: Date.parse("2026-01-02T03:04:05.678Z") / 1000,
    host: "cp-1",
    source: "fim-agent",
    sourcetype: "fim:ocsf",
    fields: { cluster: "lab", severity: "critical", type: "fim.alert.modified" },
  });
});

test("one bad event does not keep the others from the index", async (t) => {
  const { service, indexed } = await startSplunk("t", (event) => uidOf(event) === "uid-5");
  await using _ = service;
  const { attempts } = await deliverAll(
    { format: "splunk", url: service.url, token: "t" },
    uids(12).map((uid) => alertRecord(uid)),
  );
  t.deepEqual(
    indexed.map(uidOf),
    uids(12).filter((uid) => uid !== "uid-5"),
  );
  t.deepEqual(
    attempts.flatMap(({ givenUp }) => givenUp ?? []),
    [{ count: 1, why: "status 400, code 6, Invalid data format" }],
  );
});

const outcome = (status: number, code?: number) =>
  splunk.outcome?.(
    { kind: "status", status, ...(code !== undefined && { body: JSON.stringify({ code }) }) },
    { count: 1, now: 0 },
  );

test("a wrong token, index or channel is for a person to repair and loses nothing", (t) => {
  for (const [status, code] of [
    [403, 1],
    [401, 2],
    [401, 3],
    [403, 4],
    [400, 7],
    [400, 10],
    [400, 11],
    [400, 16],
    [404, undefined],
  ] as const)
    t.is(outcome(status, code)?.kind, "rejected", `${status} ${code}`);
  for (const code of [5, 6, 12, 13, 15]) t.is(outcome(400, code)?.kind, "refused", `${code}`);
  for (const [status, code] of [
    [500, 8],
    [503, 9],
    [503, 18],
    [429, undefined],
  ] as const)
    t.is(outcome(status, code)?.kind, "retry", `${status} ${code}`);
  t.is(outcome(413)?.kind, "refused");
  t.is(outcome(200, 0)?.kind, "delivered");
  t.is(outcome(200)?.kind, "delivered");
  t.is(outcome(200, 9)?.kind, "retry", "a status that says otherwise than the code");
});

test("an event of the agent is put under its type", (t) => {
  const notice = noticeOf(record("agent", { uid: "u", event: "degraded" }));
  const [event] = readConcatenated(splunk.message([notice], plainContext).body.toString()) ?? [];
  t.like(event, {
    sourcetype: "fim:agent",
    event: { type: "fim.agent.degraded", data: { uid: "u", event: "degraded" } },
  });
});

function isHarmless(name: string): boolean {
  const alert = alertOf(name);
  const text = splunk.message([alert, alertOf("x")], plainContext).body.toString();
  return (
    readConcatenated(text)?.length === 2 && text.includes(`,"event":${bodyText(alert.bytes)}}`)
  );
}

test("no name of a file adds an event, and each event is the text that was signed", (t) => {
  for (const name of hostileNames) t.true(isHarmless(name), name);
  fc.assert(fc.property(anyName, isHarmless));
});
