import type { FastifyInstance, FastifyReply } from "fastify";
import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import { requireSession, sessionOf } from "./auth.ts";
import { alertJson } from "./alerts.ts";
import { queryOf } from "./query.ts";
import type { ServerOptions } from "./server.ts";
import type { AlertQuery } from "../store/store.ts";

const mostFollowers = 200;
/** Milliseconds between signs of life, so that proxies keep the connection. */
const pingEvery = 20_000;

/**
 * GET /v1/stream: server-sent events (WHATWG HTML §9.2), one "alert" for each new alert that the query asks for. The
 * event's id is where a client that reconnects goes on.
 */
export function streamRoutes(server: FastifyInstance, options: ServerOptions): void {
  const { collector, feed } = options;
  server.get("/v1/stream", { preHandler: requireSession(collector) }, async (request, reply) => {
    const query = queryOf(request, collector);
    if (feed.size >= mostFollowers)
      return await reply.code(503).send({ error: "too many followers" });
    const last = Number(request.headers["last-event-id"] ?? Number.NaN);
    const [newest] = await collector.store.alerts({ limit: 1 });
    const from = Number.isSafeInteger(last) && last >= 0 ? last : (newest?.id ?? 0);
    const client = begin(reply, from);
    keepAlive(client, async () => (await sessionOf(collector, request)) !== undefined);
    follow(options, client, { ...query, limit: 100, after: from });
    return reply;
  });
}

/** A client that loses the connection before the first alert knows by the id where it goes on. */
function begin(reply: FastifyReply, from: number): ServerResponse {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, {
    ...(reply.getHeaders() as OutgoingHttpHeaders),
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  raw.write(`: connected\nid: ${from}\n\n`);
  return raw;
}

/** Sends what is new, as fast as the client reads: what waits is in the store, not in memory. */
function follow(
  { collector, feed, log }: ServerOptions,
  client: ServerResponse,
  from: AlertQuery,
): void {
  let query = from;
  let isSending = false;
  let isAsked = false;
  const send = async (): Promise<void> => {
    for (;;) {
      const [newest] = await collector.store.alerts({ limit: 1 });
      const alerts = await collector.store.alerts(query);
      for (const alert of alerts) {
        query = { ...query, after: alert.id };
        const isFull = !client.write(
          `id: ${alert.id}\nevent: alert\ndata: ${alertJson(alert)}\n\n`,
        );
        if (isFull) await drained(client);
        if (client.destroyed) return;
      }
      if (alerts.length < query.limit) {
        // What came before the question and does not fit is not looked at again.
        query = { ...query, after: Math.max(query.after ?? 0, newest?.id ?? 0) };
        return;
      }
    }
  };
  const wake = (): void => {
    isAsked = true;
    if (isSending) return;
    isSending = true;
    void (async () => {
      try {
        while (isAsked && !client.destroyed) {
          isAsked = false;
          await send();
        }
      } catch (error) {
        log.warn({ reason: String(error) }, "a stream ended");
        client.destroy();
      } finally {
        isSending = false;
      }
    })();
  };
  client.once("close", feed.follow(wake));
  wake();
}

/** A session that ended, by its time or by a logout, ends its stream too. */
function keepAlive(client: ServerResponse, mayRead: () => Promise<boolean>): void {
  const ping = setInterval(() => {
    if (!client.writableNeedDrain) client.write(": ping\n\n");
    mayRead().then(
      (still) => still || client.end(),
      () => client.destroy(),
    );
  }, pingEvery);
  client.once("close", () => clearInterval(ping));
}

async function drained(client: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      client.off("drain", end);
      client.off("close", end);
      resolve();
    };
    client.once("drain", end);
    client.once("close", end);
  });
}
