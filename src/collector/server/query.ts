import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { parseDuration } from "../../core/duration.ts";
import { severities } from "../../core/policy/rule.ts";
import type { Severity } from "../../core/policy/rule.ts";
import { present } from "../../core/present.ts";
import type { Collector } from "../ingest/receive.ts";
import type { AlertQuery } from "../store/store.ts";

const word = z.string().min(1).max(4096).exactOptional();

const schema = z.strictObject({
  cluster: word,
  node: word,
  severity: word,
  minSeverity: z.enum(severities).exactOptional(),
  change: word,
  type: word,
  path: word,
  rule: word,
  incident: word,
  pod: word,
  program: word,
  acknowledged: z.enum(["true", "false"]).exactOptional(),
  since: word,
  until: word,
  cursor: word,
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

/** The query of a request. Throws what is wrong with it, for an answer of 400. */
export function queryOf(
  { query }: FastifyRequest,
  { clock }: Pick<Collector, "clock">,
): AlertQuery {
  const parsed = parseQuery(query, clock());
  if ("problem" in parsed) throw Object.assign(new Error(parsed.problem), { statusCode: 400 });
  return parsed.query;
}

/** The query string of GET /v1/alerts -> what to look for, or what is wrong with it. */
function parseQuery(
  given: unknown,
  now: number,
): { readonly query: AlertQuery } | { readonly problem: string } {
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { problem: issue ? problemOf(issue) : "not valid" };
  }
  const { severity, minSeverity, acknowledged, since, until, cursor, ...rest } = parsed.data;
  const listed = severity === undefined ? undefined : severitiesOf(severity);
  if (listed === "unknown")
    return { problem: `severity: expected some of ${severities.join(", ")}` };
  const [from, to] = [since, until].map((one) =>
    one === undefined ? undefined : timeOf(one, now),
  );
  if (Number.isNaN(from) || Number.isNaN(to))
    return { problem: "since, until: expected a duration such as 24h or a time (RFC 3339)" };
  const before = cursor === undefined ? undefined : idOf(cursor);
  if (Number.isNaN(before)) return { problem: "cursor: expected the value of next" };
  return {
    query: present({
      ...rest,
      severities: listed ?? (minSeverity && severities.slice(severities.indexOf(minSeverity))),
      acknowledged: acknowledged === undefined ? undefined : acknowledged === "true",
      since: from,
      until: to,
      before,
    }),
  };
}

/** "limit: expected 1 to 1000" */
function problemOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "unrecognized_keys")
    return `unknown filter ${issue.keys.join(", ")}; known are ${Object.keys(schema.shape).join(", ")}`;
  const name = issue.path.join(".");
  const expected: Readonly<Record<string, string>> = {
    limit: "1 to 1000",
    minSeverity: `one of ${severities.join(", ")}`,
    acknowledged: "true or false",
  };
  return `${name}: expected ${expected[name] ?? "one word of 1 to 4096 characters"}`;
}

export function cursorOf(id: number): string {
  return id.toString(36);
}

function idOf(cursor: string): number {
  return /^[0-9a-z]{1,10}$/.test(cursor) ? Number.parseInt(cursor, 36) : Number.NaN;
}

function severitiesOf(text: string): readonly Severity[] | "unknown" {
  const wanted = text.split(",");
  const known = severities.filter((one) => wanted.includes(one));
  return known.length === wanted.length ? known : "unknown";
}

/** A duration before now, or a time -> milliseconds since 1970. */
function timeOf(text: string, now: number): number {
  const duration = parseDuration(text);
  return duration === undefined ? Date.parse(text) : now - duration;
}

/** Milliseconds since 1970 -> RFC 3339; the number itself where a node's clock is beyond all calendars. */
export function timeText(at: number): string {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? String(at) : date.toISOString();
}
