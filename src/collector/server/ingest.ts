import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import type { FastifyInstance, FastifyReply } from "fastify";
import { enrol } from "../enroll/enroll.ts";
import type { EnrolRequest } from "../enroll/enroll.ts";
import { parseBody } from "../ingest/body.ts";
import { receive } from "../ingest/receive.ts";
import type { Reply } from "../ingest/receive.ts";
import { printVkey } from "../../core/tlog/note.ts";
import { logHead } from "./log.ts";
import { nodeOf } from "../node-name.ts";
import { RateLimit } from "../rate-limit.ts";
import type { ServerOptions } from "./server.ts";

/** Bytes of a request, also uncompressed. An agent sends 2 MiB and one record. */
const mostBytes = 8 * 2 ** 20;

/** A node's records: some thousand at once after an outage, and a storm's share for good. */
const nodeRate = { burst: 60_000, perSecond: 2000 };
/** Refused requests of one address for one node. */
const refusalRate = { burst: 30, perSecond: 0.5 };
const enrolRate = { burst: 20, perSecond: 0.2 };

/** Records shrink to about a tenth. Each piece of the result costs a turn of the event loop. */
const usualRatio = 10;
const chunk = { least: 16 * 1024, most: 2 ** 20 };

const unzip = promisify<Buffer, { maxOutputLength: number; chunkSize: number }, Buffer>(gunzip);

/** GET /v1/nonce, POST /v1/enroll, POST /v1/batches. */
export function ingestRoutes(server: FastifyInstance, options: ServerOptions): void {
  const { collector } = options;
  const nonce = async () => ({ nonce: collector.nonces.make() });
  server.get("/v1/nonce", nonce);
  server.post("/v1/nonce", nonce);
  const asBuffer = { parseAs: "buffer", bodyLimit: mostBytes } as const;
  server.addContentTypeParser("application/x-ndjson", asBuffer, (_, body, done) =>
    done(null, body),
  );
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
  server.post("/v1/batches", async (request, reply) => {
    const body = await uncompressed(request.body, request.headers["content-encoding"]);
    if ("problem" in body)
      return await reply.code(body.status).send({ error: "request", reason: body.problem });
    const parts = parseBody(body.bytes);
    if ("problem" in parts)
      return await reply.code(400).send({ error: "malformed", reason: parts.problem });
    const node = nodeOf(parts[0]?.chain ?? "");
    const name = `${node?.cluster}/${node?.node}`;
    const count = parts.reduce((sum, one) => sum + one.records.length, 0);
    const wait = refusals.take(`${request.ip} ${name}`, 0) || records.take(name, count);
    if (wait > 0) return await tooMany(reply, wait);
    const lostFrom = numberOf(request.headers["fim-lost-from"]);
    const result = await receive(collector, parts, lostFrom === undefined ? {} : { lostFrom });
    metrics.received(result);
    if (result.kind === "refused") refusals.take(`${request.ip} ${name}`, 1);
    feed.wake();
    const known = numberOf(request.headers["fim-checkpoint-size"]);
    const more = { nonce: collector.nonces.make(), ...(await logHead(collector, known)) };
    return await answer(reply, result, more);
  });
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

type Body = { readonly bytes: Buffer } | { readonly status: number; readonly problem: string };

async function uncompressed(body: unknown, encoding: string | undefined): Promise<Body> {
  if (!Buffer.isBuffer(body)) return { status: 415, problem: "expected application/x-ndjson" };
  if (encoding === undefined || encoding === "identity") return { bytes: body };
  if (encoding !== "gzip") return { status: 415, problem: "expected gzip or no encoding" };
  const chunkSize = Math.min(chunk.most, Math.max(chunk.least, body.length * usualRatio));
  try {
    return { bytes: await unzip(body, { maxOutputLength: mostBytes, chunkSize }) };
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
      ? { status: 413, problem: `expected at most ${mostBytes} bytes, uncompressed` }
      : { status: 400, problem: "the body is no gzip" };
  }
}

function numberOf(header: string | readonly string[] | undefined): number | undefined {
  return typeof header === "string" && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
