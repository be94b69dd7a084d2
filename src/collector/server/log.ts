import type { FastifyInstance } from "fastify";
import { printVkey } from "../../core/tlog/note.ts";
import type { Collector } from "../ingest/receive.ts";
import { consistencyFrom, proofOfAlert } from "../log/prove.ts";
import { requireSession } from "./auth.ts";
import type { ServerOptions } from "./server.ts";

const text = "text/plain; charset=utf-8";

/**
 * The newest checkpoint, for the answer to an agent. An agent that names the size of the one it holds also gets the
 * proof that the log goes on from there; none where the log has become smaller.
 */
export async function logHead(
  { store, checkpoints }: Collector,
  known: number | undefined,
): Promise<{ readonly checkpoint: string; readonly consistency?: readonly string[] }> {
  // Another collector of this store may have shown the agent a newer one than this collector has seen yet.
  const latest = await (known ? checkpoints.covering(known - 1) : checkpoints.latest());
  const { note: checkpoint } = latest;
  const consistency =
    known === undefined ? undefined : await consistencyFrom(store.log, known, latest);
  return consistency ? { checkpoint, consistency } : { checkpoint };
}

/** GET /v1/checkpoint, which names no node and needs no login, and GET /v1/proof/:uid. */
export function logRoutes(server: FastifyInstance, { collector }: ServerOptions): void {
  const { store, checkpoints } = collector;
  server.get("/v1/checkpoint", async (_, reply) => {
    const { note } = await checkpoints.latest();
    const key = printVkey(checkpoints.key);
    return await reply.type(text).header("fim-checkpoint-key", key).send(note);
  });

  const preHandler = requireSession(collector);
  server.get<{ Params: { uid: string } }>(
    "/v1/proof/:uid",
    { preHandler },
    async (request, reply) => {
      const alert = await store.alert(request.params.uid);
      const proof = alert && (await proofOfAlert(store.log, checkpoints, alert.id));
      return proof === undefined
        ? await reply.code(404).send({ error: "not found" })
        : await reply.type(text).send(proof);
    },
  );
}
