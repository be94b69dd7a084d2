import { classify } from "../../core/backoff.ts";
import type { Outcome, Refusal, StatusAnswer } from "../../core/backoff.ts";
import { toEcs } from "../../core/record/ecs.ts";
import { fieldsOf, listAt, numberAt, textAt } from "../../core/record/fields.ts";
import { refusing, withPath } from "../format.ts";
import type { Format } from "../format.ts";
import { parseJson, reason } from "./answer.ts";

/** A data stream that Elasticsearch's own template for logs takes. */
const defaultStream = "/logs-fim.event-default";
const filter = "errors,items.*.status,items.*.error.type,items.*.error.reason";

/**
 * The bulk API of Elasticsearch and OpenSearch, documents in ECS. `create` with the record's id stores it once, however
 * often it is sent.
 */
export const elastic: Format = {
  maxPerPost: 256,
  isForPeople: false,
  readsBody: true,
  endpoint(url) {
    const { pathname } = new URL(url);
    const stream = /^\/(?:_bulk)?$/.test(pathname) ? new URL(defaultStream, url).href : url;
    const whole = new URL(withPath(stream, "/_bulk"));
    whole.searchParams.set("filter_path", filter);
    return whole.href;
  },
  message(notices, { secret, link }) {
    const lines = notices.flatMap((notice) => [
      JSON.stringify({ create: { _id: notice.id } }),
      JSON.stringify(toEcs(notice, link(notice))),
    ]);
    const headers = {
      "content-type": "application/x-ndjson",
      "user-agent": "fim-agent",
      ...(secret.token !== "" && { authorization: authorizationOf(secret.token) }),
    };
    return { headers, body: Buffer.from(`${lines.join("\n")}\n`) };
  },
  outcome(answer, sent) {
    if (answer.status !== 200) return refusing(answer, sent);
    return itemsOutcome(answer, sent.count) ?? classify(answer, sent.now);
  },
};

/** An encoded API key has no colon; OpenSearch takes a user and a password. */
function authorizationOf(token: string): string {
  return token.includes(":") ? `Basic ${Buffer.from(token).toString("base64")}` : `ApiKey ${token}`;
}

/** Undefined: every item was stored. A request succeeds as a whole even when no item does. */
function itemsOutcome(answer: StatusAnswer, count: number): Outcome | undefined {
  const body = parseJson(answer);
  if (fieldsOf(body)["errors"] === false) return undefined;
  const items = listAt(body, "items");
  if (items.length !== count) return { kind: "retry", why: "status 200 without a result for each" };
  const verdicts = items.map(verdictOf);
  const again = verdicts.findIndex(({ verdict }) => verdict === "again");
  const settled = again < 0 ? verdicts : verdicts.slice(0, again);
  const refusal = refusalIn(settled);
  if (again < 0) return refusal && { kind: "delivered", refused: refusal };
  const why = `item: ${verdicts[again]?.why ?? ""}`;
  return { kind: "partial", settled: again, why, ...(refusal && { refused: refusal }) };
}

interface Verdict {
  readonly verdict: "stored" | "again" | "refused";
  readonly why: string;
}

/** 409 on `create`: stored before. 400 and 413 are about the document; the rest is about the index. */
function verdictOf(item: unknown): Verdict {
  const status = numberAt(item, "create", "status") ?? 0;
  const error = [
    textAt(item, "create", "error", "type"),
    textAt(item, "create", "error", "reason"),
  ];
  const why = reason(`status ${status}`, ...error);
  if ((status >= 200 && status < 300) || status === 409) return { verdict: "stored", why };
  return { verdict: status === 400 || status === 413 ? "refused" : "again", why };
}

function refusalIn(verdicts: readonly Verdict[]): Refusal | undefined {
  const refused = verdicts.filter(({ verdict }) => verdict === "refused");
  const [first] = refused;
  return first && { count: refused.length, why: first.why };
}
