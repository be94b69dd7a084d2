import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import type { AlertQuery, Store, StoredAlert } from "../store/store.ts";
import { requireSession } from "./auth.ts";
import { queryOf, timeText } from "./query.ts";
import type { ServerOptions } from "./server.ts";

/** Alerts of one file, the newest: a spreadsheet is slow with more. */
const mostRows = 10_000;
/** Alerts that are in memory at once. */
const pageSize = 500;

const columns: Readonly<Record<string, (alert: StoredAlert) => string | undefined>> = {
  time: ({ at }) => timeText(at),
  severity: ({ severity }) => severity,
  cluster: ({ cluster }) => cluster,
  node: ({ node }) => node,
  change: ({ change }) => change,
  path: ({ path }) => path,
  program: ({ program }) => program,
  pod: ({ pod }) => pod,
  rule: ({ rule }) => rule,
  incident: ({ incident }) => incident,
  type: ({ type }) => type,
  acknowledged: ({ acknowledged }) => String(acknowledged),
  received: ({ received }) => timeText(received),
  id: ({ uid }) => uid,
};

/** GET /v1/alerts.csv: the alerts that the filters of the list show, as a file for a spreadsheet (RFC 4180). */
export function csvRoutes(server: FastifyInstance, { collector }: ServerOptions): void {
  const { store } = collector;
  const preHandler = requireSession(collector);
  server.get("/v1/alerts.csv", { preHandler }, async (request, reply) => {
    const query = { ...queryOf(request, collector), limit: pageSize };
    // A search that fails is answered with its reason, not with half a file.
    const first = await store.alerts(query);
    return await reply
      .type("text/csv; charset=utf-8; header=present")
      .header("content-disposition", 'attachment; filename="alerts.csv"')
      .send(Readable.from(linesOf(store, query, first)));
  });
}

async function* linesOf(store: Store, query: AlertQuery, first: readonly StoredAlert[]) {
  yield `${Object.keys(columns).join(",")}\r\n`;
  let page = first;
  for (let rows = page.length; ; rows += page.length) {
    yield page.map(lineOf).join("");
    const last = page.at(-1);
    if (last === undefined || page.length < query.limit || rows >= mostRows) return;
    page = await store.alerts({ ...query, before: last.id });
  }
}

function lineOf(alert: StoredAlert): string {
  const cells = Object.values(columns).map((valueOf) => cellOf(valueOf(alert) ?? ""));
  return `${cells.join(",")}\r\n`;
}

/** A spreadsheet takes what begins like this as a formula; an apostrophe before it makes it a text. */
const formula = /^[=+\-@\t\r\n]/;

/** A name that a node sent runs nothing where the file is opened. */
function cellOf(text: string): string {
  const safe = formula.test(text) ? `'${text}` : text;
  return /[",\r\n']/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
