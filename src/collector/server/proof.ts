import type { FastifyInstance } from "fastify";
import { present } from "../../core/present.ts";
import { parseRecord } from "../../core/record/chain.ts";
import { parseEnvelope } from "../../core/record/dsse.ts";
import type { Envelope } from "../../core/record/dsse.ts";
import type { Collector } from "../ingest/receive.ts";
import { nodeOf } from "../node-name.ts";
import type { StoredAlert, StoredProof } from "../store/store.ts";
import { requireSession } from "./auth.ts";
import type { ServerOptions } from "./server.ts";

/** How a record proves itself, and whether it does at this moment. */
interface Proof {
  readonly chain: string;
  /** 0: the chain itself. Else a branch that conflicts with it. */
  readonly branch: number;
  readonly seq: number;
  readonly prev: string;
  readonly hash: string;
  /** The batch's signed range. */
  readonly batch: { readonly first: number; readonly last: number };
  readonly key: string;
  /** Base64 of the raw Ed25519 key. Absent: no key of the node has this id. */
  readonly publicKey?: string;
  /** Why it does not hold. Absent: hash, links and signature hold. */
  readonly fault?: string;
  readonly received: string;
  /** The record's exact text, and the DSSE envelope of its batch. */
  readonly record: string;
  readonly envelope: Envelope | undefined;
}

/** GET /v1/alerts/:uid/record: the record as signed, its place in the chain, and the check of both. */
export function proofRoutes(server: FastifyInstance, { collector }: ServerOptions): void {
  const preHandler = requireSession(collector);
  server.get<{ Params: { uid: string } }>(
    "/v1/alerts/:uid/record",
    { preHandler },
    async (request, reply) => {
      const alert = await collector.store.alert(request.params.uid);
      const stored = alert && (await collector.store.proof(alert.id));
      if (!stored) return await reply.code(404).send({ error: "not found" });
      return await proofOf(collector, alert, stored);
    },
  );
}

async function proofOf(
  { store, own, verifier }: Collector,
  alert: StoredAlert,
  stored: StoredProof,
): Promise<Proof> {
  const { chain, branch, seq, hash, first, records } = stored;
  const envelope = parseEnvelope(stored.envelope);
  const key = envelope?.signatures[0]?.keyid ?? "";
  const name = nodeOf(chain);
  const ofNode = name ? await store.everyKeyOf(name) : [];
  // A chain that is no node's is this collector's own.
  const keys = ofNode.length > 0 ? ofNode : [own.key];
  const publicKey = keys.find((one) => one.keyId === key)?.publicKey;
  const checked = { seq, hash, first, records, envelope, publicKey };
  const fault = await verifier.faultOf(present(checked));
  return {
    chain,
    branch,
    seq,
    prev: parseRecord(alert.bytes)?.prev ?? "",
    hash,
    batch: { first, last: first + records.length - 1 },
    key,
    ...(publicKey && { publicKey: publicKey.toString("base64") }),
    ...(fault !== undefined && { fault }),
    received: new Date(alert.received).toISOString(),
    record: alert.bytes.toString("utf8"),
    envelope,
  };
}
