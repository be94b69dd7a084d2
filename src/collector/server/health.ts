import type { FastifyInstance } from "fastify";
import { messageOf } from "../../core/error.ts";
import type { ServerOptions } from "./server.ts";

/** GET /healthz, /readyz and /metrics. They need no login: they name no node. */
export function healthRoutes(server: FastifyInstance, { collector, metrics }: ServerOptions): void {
  server.get("/healthz", async () => ({ ok: true }));
  server.get("/readyz", async (_, reply) => {
    try {
      await collector.store.transact(async (tx) => await tx.readMeta("nonces"));
      return { ready: true, reasons: [] };
    } catch (error) {
      return await reply.code(503).send({ ready: false, reasons: [messageOf(error)] });
    }
  });
  server.get("/metrics", async (_, reply) => {
    const { type, text } = await metrics.text();
    return await reply.type(type).send(text);
  });
}
