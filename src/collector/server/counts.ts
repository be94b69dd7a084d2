import type { FastifyInstance } from "fastify";
import { requireSession } from "./auth.ts";
import { queryOf, timeText } from "./query.ts";
import type { ServerOptions } from "./server.ts";

/** Alerts that one answer counts, the newest: more would take too long, and the store grows. */
const mostCounted = 5000;

/** GET /v1/counts: the most frequent rules, nodes, programs and so on among the alerts that the filters of the list show. */
export function countRoutes(server: FastifyInstance, { collector }: ServerOptions): void {
  server.get("/v1/counts", { preHandler: requireSession(collector) }, async (request, reply) => {
    const query = queryOf(request, collector);
    const counts = await collector.store.counts({ ...query, limit: mostCounted });
    const times = counts.times.map(({ from, until, count }) => ({
      from: timeText(from),
      until: timeText(until),
      count,
    }));
    return await reply.send({ isAll: counts.counted < mostCounted, ...counts, times });
  });
}
