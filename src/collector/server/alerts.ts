import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { bodyText } from "../../core/record/chain.ts";
import type { Comment, StoredAlert } from "../store/store.ts";
import { present } from "../../core/present.ts";
import { runbookOf } from "../runbook.ts";
import { requireSession } from "./auth.ts";
import { cursorOf, queryOf } from "./query.ts";
import type { ServerOptions } from "./server.ts";

/** The JSON text of an alert: the event exactly as its record has it, and what the collector adds. */
export function alertJson(
  alert: StoredAlert,
  { comments, runbook }: { readonly comments?: readonly Comment[]; readonly runbook?: string } = {},
): string {
  const { bytes, type, received, acknowledged, cluster, node } = alert;
  const body = soundText(bytes);
  const added = JSON.stringify({
    received: new Date(received).toISOString(),
    acknowledged,
    type,
    cluster,
    node,
    severity: alert.severity,
    uid: alert.uid,
    runbook: runbook === undefined ? undefined : runbookOf(runbook, alert),
    ...(comments && {
      comments: comments.map(({ at, ...one }) => ({ at: new Date(at).toISOString(), ...one })),
    }),
  });
  const isEmpty = /^\{\s*\}$/.test(body);
  return `${body.slice(0, -1)}${isEmpty ? "" : ","}"collector":${added}}`;
}

/** A record that was altered, or that a hostile node wrote, must spoil neither a list nor the stream. Ends with a brace. */
function soundText(bytes: Buffer): string {
  // A carriage return would end a line of the stream; in JSON it can only be a space.
  const body = bodyText(bytes).replaceAll("\r", " ").trimEnd();
  try {
    const event: unknown = JSON.parse(body);
    return typeof event === "object" && event !== null && !Array.isArray(event) ? body : "{}";
  } catch {
    return "{}";
  }
}

const json = "application/json; charset=utf-8";

const commentSchema = z.strictObject({
  text: z.string().max(10_000).default(""),
  acknowledge: z.boolean().default(false),
});

/** GET /v1/alerts and /v1/alerts/:uid, POST /v1/alerts/:uid/comments. */
export function alertRoutes(server: FastifyInstance, options: ServerOptions): void {
  const { collector, feed, runbook } = options;
  const { store, clock } = collector;
  const preHandler = requireSession(collector);

  server.get("/v1/alerts", { preHandler }, async (request, reply) => {
    const query = queryOf(request, collector);
    const found = await store.alerts({ ...query, limit: query.limit + 1 });
    const page = found.slice(0, query.limit);
    const last = page.at(-1);
    const next = found.length > page.length && last ? JSON.stringify(cursorOf(last.id)) : "null";
    const items = page.map((one) => alertJson(one)).join(",");
    return await reply.type(json).send(`{"items":[${items}],"next":${next}}`);
  });

  server.get<{ Params: { uid: string } }>(
    "/v1/alerts/:uid",
    { preHandler },
    async (request, reply) => {
      const alert = await store.alert(request.params.uid);
      if (!alert) return await reply.code(404).send({ error: "not found" });
      return await reply
        .type(json)
        .send(alertJson(alert, present({ comments: await store.comments(alert.id), runbook })));
    },
  );

  server.post<{ Params: { uid: string } }>(
    "/v1/alerts/:uid/comments",
    { preHandler },
    async (request, reply) => {
      const parsed = commentSchema.safeParse(request.body ?? {});
      const alert = await store.alert(request.params.uid);
      if (!alert) return await reply.code(404).send({ error: "not found" });
      if (!parsed.success)
        return await reply
          .code(400)
          .send({ error: "request", reason: "expected text or acknowledge" });
      const { text, acknowledge: acknowledges } = parsed.data;
      const user = request.session?.user ?? "";
      await store.addComment(alert.id, { at: clock(), user, acknowledges, text });
      feed.wake();
      return await reply.code(201).send({ ok: true });
    },
  );
}
