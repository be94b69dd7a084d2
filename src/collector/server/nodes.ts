import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { compareNodes } from "../compare.ts";
import { stateOf } from "../node-state.ts";
import { requireSession } from "./auth.ts";
import type { ServerOptions } from "./server.ts";

const compareQuery = z.strictObject({ cluster: z.string().min(1).max(253).exactOptional() });

/** GET /v1/nodes and /v1/compare. */
export function nodeRoutes(server: FastifyInstance, { collector }: ServerOptions): void {
  const { store, clock } = collector;
  const preHandler = requireSession(collector);
  server.get("/v1/nodes", { preHandler }, async () => {
    const [nodes, alarms] = await Promise.all([store.nodes(), store.alarms()]);
    return { items: nodes.map((node) => stateOf(node, alarms, clock())), next: null };
  });
  server.get("/v1/compare", { preHandler }, async (request, reply) => {
    const parsed = compareQuery.safeParse(request.query);
    if (!parsed.success)
      return await reply.code(400).send({ error: "request", reason: "expected cluster" });
    return compareNodes(await store.nodes(), parsed.data.cluster);
  });
}
