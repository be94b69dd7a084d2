import fastifyCookie from "@fastify/cookie";
import fastify from "fastify";
import type { FastifyInstance, FastifyReply } from "fastify";
import { IntegrityError, isUnusable } from "../../core/error.ts";
import type { Listen } from "../../config/options.ts";
import type { Collector } from "../ingest/receive.ts";
import { alertRoutes } from "./alerts.ts";
import { countRoutes } from "./counts.ts";
import { csvRoutes } from "./csv.ts";
import { ingestRoutes } from "./ingest.ts";
import { healthRoutes } from "./health.ts";
import { logRoutes } from "./log.ts";
import { loginRoutes } from "./login.ts";
import { nodeRoutes } from "./nodes.ts";
import { pageRoutes } from "./page.ts";
import { proofRoutes } from "./proof.ts";
import type { CollectorMetrics } from "../metrics.ts";
import { streamRoutes } from "./stream.ts";
import { summaryRoutes } from "./summary.ts";
import type { Feed } from "../feed.ts";
import type { Logger } from "pino";

export interface ServerOptions {
  readonly collector: Collector;
  readonly feed: Feed;
  readonly metrics: CollectorMetrics;
  readonly log: Logger;
  /** PEM. Absent: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Template of the address that says what to do about an alert. */
  readonly runbook?: string;
}

/** Milliseconds in which a client must have sent its request. */
const requestTimeout = 30_000;

/** The collector's HTTP interface, without a listener. */
export async function makeServer(options: ServerOptions): Promise<FastifyInstance> {
  const { tls, log } = options;
  const server = fastify({
    ...(tls && { https: { ...tls, minVersion: "TLSv1.3" as const } }),
    bodyLimit: 64 * 1024,
    requestTimeout,
    connectionTimeout: requestTimeout,
    keepAliveTimeout: 75_000,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 200 },
    logger: false,
    forceCloseConnections: true,
  }) as unknown as FastifyInstance;
  server.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    if (isUnusable(error)) return void unavailable(reply, options, error);
    if (error instanceof IntegrityError && error.code === "SEARCH_SLOW")
      return void reply
        .code(422)
        .send({ error: "too slow", reason: `${error.message}: ${error.hint ?? ""}` });
    const status = error.statusCode ?? 500;
    if (status >= 500) log.error({ err: error.message, url: request.routeOptions.url }, "failed");
    const reason = status >= 500 ? "the collector failed; its log says why" : error.message;
    void reply.code(status).send({ error: status >= 500 ? "internal" : "request", reason });
  });
  server.setNotFoundHandler((_, reply) => reply.code(404).send({ error: "not found" }));
  await server.register(fastifyCookie);
  await pageRoutes(server);
  loginRoutes(server, options);
  healthRoutes(server, options);
  ingestRoutes(server, options);
  alertRoutes(server, options);
  proofRoutes(server, options);
  summaryRoutes(server, options);
  countRoutes(server, options);
  csvRoutes(server, options);
  nodeRoutes(server, options);
  streamRoutes(server, options);
  logRoutes(server, options);
  return server;
}

/** The store is locked, full or not reached: who sends the same again loses nothing. */
function unavailable(reply: FastifyReply, { log }: ServerOptions, error: Error): FastifyReply {
  log.warn({ err: error.message }, "store not available");
  // Some more at random, so that not all that wait return at once.
  const seconds = String(2 + Math.floor(Math.random() * 4));
  const reason = "the store is not available: send the same again";
  return reply.code(503).header("retry-after", seconds).send({ error: "unavailable", reason });
}

/** Listens. Returns the address in use. */
export async function listen(server: FastifyInstance, { host, port }: Listen): Promise<string> {
  try {
    return await server.listen({ host, port });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "another program listens there" : message;
    throw new IntegrityError("CONFIG_INVALID", `listen ${host}:${port}: ${why}`, {
      hint: "choose another address with --listen HOST:PORT",
      cause,
    });
  }
}
