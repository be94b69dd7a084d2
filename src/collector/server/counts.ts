import type { FastifyInstance } from "fastify";
import { requireSession } from "./auth.ts";
import { parseQuery, timeText } from "./query.ts";
import type { ServerOptions } from "./server.ts";

/** Alerts that one answer counts, the newest: more would take too long, and the store grows. */
const mostCounted = 5000;

/** GET /v1/counts: the most frequent rules, nodes, programs and so on among the alerts that the filters of the list show. */
export function countRoutes(server: FastifyInstance, { collector }: ServerOptions): void {
  const { store, clock } = collector;
  server.get("/v1/counts", { preHandler: requireSession(collector) }, async (request, reply) => {
    const parsed = parseQuery(request.query, clock());
    if ("problem" in parsed)
      return await reply.code(400).send({ error: "request", reason: parsed.problem });
    const counts = await store.counts({ ...parsed.query, limit: mostCounted });
    const times = counts.times.map(({ from, until, count }) => ({
      from: timeText(from),
      until: timeText(until),
      count,
    }));
    return { isAll: counts.counted < mostCounted, ...counts, times };
  });
}
