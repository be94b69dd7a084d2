import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { enrol } from "../enroll/enroll.ts";
import type { EnrolRequest } from "../enroll/enroll.ts";
import { costOf, parseBody } from "../ingest/body.ts";
import { receive } from "../ingest/receive.ts";
import type { Reply } from "../ingest/receive.ts";
import { printVkey } from "../../core/tlog/note.ts";
import { Intake, mostBytes } from "./intake.ts";
import type { Body, Held } from "./intake.ts";
import { logHead } from "./log.ts";
import { nodeOf } from "../node-name.ts";
import { RateLimit } from "../rate-limit.ts";
import type { ServerOptions } from "./server.ts";

/** A node's records: some thousand at once after an outage, and a storm's share for good. */
const nodeRate = { burst: 60_000, perSecond: 2000 };
/** Refused requests of one address for one node. */
const refusalRate = { burst: 30, perSecond: 0.5 };
const enrolRate = { burst: 20, perSecond: 0.2 };

/** GET /v1/nonce, POST /v1/enroll, POST /v1/batches. */
export function ingestRoutes(server: FastifyInstance, options: ServerOptions): void {
  const { collector } = options;
  const nonce = async () => ({ nonce: collector.nonces.make() });
  server.get("/v1/nonce", nonce);
  server.post("/v1/nonce", nonce);
  // Read by the route itself, which bounds what all requests hold.
  server.addContentTypeParser("application/x-ndjson", (_, payload, done) => done(null, payload));
  enrolRoute(server, options);
  batchRoute(server, options);
}

function enrolRoute(server: FastifyInstance, { collector, log }: ServerOptions): void {
  const limit = new RateLimit(enrolRate);
  server.post<{ Body: EnrolRequest | null }>("/v1/enroll", async (request, reply) => {
    const wait = limit.take(request.ip, 1);
    if (wait > 0) return await tooMany(reply, wait);
    const enrolled = await enrol(collector, request.body ?? { enrolment: null });
    if (enrolled.kind === "enrolled") {
      log.info({ ...enrolled.node, key: enrolled.keyId }, "enrolled");
      const { nonces, checkpoints } = collector;
      return {
        ...enrolled.node,
        key: enrolled.keyId,
        nonce: nonces.make(),
        checkpointKey: printVkey(checkpoints.key),
      };
    }
    log.warn({ from: request.ip, reason: enrolled.reason }, "enrolment refused");
    return await reply.code(401).send({ error: "token", reason: enrolled.reason });
  });
}

function batchRoute(server: FastifyInstance, { collector, metrics, feed }: ServerOptions): void {
  const records = new RateLimit(nodeRate);
  const refusals = new RateLimit(refusalRate);
  const intake = new Intake();
  server.post("/v1/batches", { bodyLimit: mostBytes }, async (request, reply) => {
    using held = intake.begin();
    const body = await read(held, request);
    if ("problem" in body)
      return await reply.code(body.status).send({ error: "request", reason: body.problem });
    const parts = parseBody(body.bytes);
    if ("problem" in parts)
      return await reply.code(400).send({ error: "malformed", reason: parts.problem });
    const node = nodeOf(parts[0]?.chain ?? "");
    const name = `${node?.cluster}/${node?.node}`;
    // Before the records go to another thread.
    const cost = costOf(parts);
    const sender = `${request.ip} ${name}`;
    const wait = refusals.wait(sender) || records.wait(name);
    if (wait > 0) return await tooMany(reply, wait);
    const lostFrom = numberOf(request.headers["fim-lost-from"]);
    const result = await receive(collector, parts, lostFrom === undefined ? {} : { lostFrom });
    metrics.received(result);
    if (result.kind === "refused") refusals.charge(sender, 1);
    // Only what a node signed counts as its own: strangers must not use up its rate.
    if (isSigned(result)) records.charge(name, cost);
    feed.wake();
    const known = numberOf(request.headers["fim-checkpoint-size"]);
    const more = { nonce: collector.nonces.make(), ...(await logHead(collector, known)) };
    return await answer(reply, result, more);
  });
}

async function read(held: Held, { body, headers }: FastifyRequest): Promise<Body> {
  if (!(body instanceof Readable)) return { status: 415, problem: "expected application/x-ndjson" };
  const arrived = await held.read(body);
  if ("problem" in arrived) return arrived;
  return await held.uncompress(arrived.bytes, headers["content-encoding"]);
}

function isSigned(result: Reply): boolean {
  return result.kind === "stored" || statusOf(result.error.error) === 409;
}

async function answer(reply: FastifyReply, result: Reply, more: object): Promise<FastifyReply> {
  const stored = { ack: result.ack?.seq ?? null, head: result.ack?.hash ?? null, ...more };
  if (result.kind === "stored") return await reply.send(stored);
  return await reply.code(statusOf(result.error.error)).send({ ...result.error, ...stored });
}

function statusOf(error: Extract<Reply, { kind: "refused" }>["error"]["error"]): number {
  switch (error) {
    case "gap":
    case "fork":
      return 409;
    case "signature":
    case "unknown":
      return 401;
    case "malformed":
      return 400;
  }
}

async function tooMany(reply: FastifyReply, waitMs: number): Promise<FastifyReply> {
  // Some more at random, so that not all that wait return at once.
  const seconds = Math.ceil((waitMs / 1000) * (1 + Math.random() / 2));
  return await reply
    .code(429)
    .header("retry-after", String(Math.max(1, seconds)))
    .send({ error: "too many requests" });
}

function numberOf(header: string | readonly string[] | undefined): number | undefined {
  return typeof header === "string" && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
