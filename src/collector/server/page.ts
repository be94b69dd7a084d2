import type { FastifyInstance } from "fastify";
import fastifyStatic from "@fastify/static";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../web/", import.meta.url));

/** Addresses of the page's views; each is the same document. */
const views = ["/", "/alerts", "/alerts/:uid", "/nodes", "/compare", "/evidence"];

/**
 * Nothing inline, nothing from elsewhere, no frame; and the DOM takes no markup from strings (Trusted Types), so a
 * hostile file name cannot become an element even by a mistake of ours.
 */
const policy = [
  "default-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const headers = {
  "content-security-policy": policy,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

/** GET / and the files of the page, and the headers of every answer. */
export async function pageRoutes(server: FastifyInstance): Promise<void> {
  server.addHook("onRequest", async (request, reply) => {
    reply.headers(headers);
    if (request.url.startsWith("/v1/")) reply.header("cache-control", "no-store");
  });
  // A browser asks again each time, and gets 304 while the file is the same.
  await server.register(fastifyStatic, { root, index: false, maxAge: 0 });
  for (const view of views)
    server.get(view, async (_, reply) => await reply.sendFile("index.html"));
}
