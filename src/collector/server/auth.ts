import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Collector } from "../ingest/receive.ts";
import type { Session } from "../store/store.ts";

/** The page's cookie. */
export const cookieName = "fim_session";

/** What the store keeps of a secret. */
export function sessionHash(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

type Sessions = Pick<Collector, "store" | "clock">;

/** The session of a bearer token (RFC 6750 §2.1) or of the page's cookie. */
export async function sessionOf(
  { store, clock }: Sessions,
  request: FastifyRequest,
): Promise<(Session & { readonly isCookie: boolean }) | undefined> {
  const [, bearer] = /^Bearer ([\w-]{1,200})$/i.exec(request.headers.authorization ?? "") ?? [];
  const secret = bearer ?? request.cookies[cookieName];
  if (secret === undefined) return undefined;
  const session = await store.users.session(sessionHash(secret), clock());
  return session && { ...session, isCookie: bearer === undefined };
}

/** A hook that refuses a request without a session, and one that another site sent with the page's cookie. */
export function requireSession(collector: Sessions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const session = await sessionOf(collector, request);
    if (!session) {
      await reply
        .code(401)
        .header("www-authenticate", "Bearer")
        .send({ error: "unauthorized", reason: "log in, or send a bearer token" });
      return;
    }
    if (session.isCookie && request.method !== "GET" && !isOwnPage(request)) {
      await refuseForeign(reply);
      return;
    }
    request.session = session;
  };
}

/**
 * True if the collector's own page sent it. Another site cannot add the header: the browser would ask first with a
 * preflight (Fetch §4.8), which this server never grants. That needs no token and no state, and holds for the login
 * too. Sec-Fetch-Site, or Origin where a browser does not send it, must agree.
 */
export function isOwnPage({ headers }: FastifyRequest): boolean {
  if (headers["fim-page"] === undefined) return false;
  const { origin, host, "sec-fetch-site": site } = headers;
  if (site !== undefined) return site === "same-origin";
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host);
}

export async function refuseForeign(reply: FastifyReply): Promise<void> {
  await reply.code(403).send({ error: "forbidden", reason: "expected a request of the page" });
}

declare module "fastify" {
  interface FastifyRequest {
    session?: Session;
  }
}
