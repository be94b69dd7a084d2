import type { FastifyInstance } from "fastify";
import { stateOf } from "../node-state.ts";
import { requireSession } from "./auth.ts";
import type { ServerOptions } from "./server.ts";

/** GET /v1/nodes. */
export function nodeRoutes(server: FastifyInstance, { collector }: ServerOptions): void {
  const { store, clock } = collector;
  server.get("/v1/nodes", { preHandler: requireSession(collector) }, async () => {
    const [nodes, alarms] = await Promise.all([store.nodes(), store.alarms()]);
    return { items: nodes.map((node) => stateOf(node, alarms, clock())), next: null };
  });
}
