import { createHash } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Collector } from "../ingest/receive.ts";
import type { Session } from "../store/store.ts";

/** What the store keeps of a secret. */
export function sessionHash(secret: string): string {
  return createHash("sha256").update(secret).digest("hex");
}

/** The session of a bearer token (RFC 6750 §2.1) or of the page's cookie. */
async function sessionOf(
  { store, clock }: Pick<Collector, "store" | "clock">,
  request: FastifyRequest,
): Promise<Session | undefined> {
  const [, bearer] = /^Bearer ([\w-]{1,200})$/i.exec(request.headers.authorization ?? "") ?? [];
  const [, cookie] =
    /(?:^|; )fim_session=([\w-]{1,200})(?:;|$)/.exec(request.headers.cookie ?? "") ?? [];
  const session =
    bearer === undefined ? undefined : await store.users.session(sessionHash(bearer), clock());
  if (session || cookie === undefined) return session;
  return await store.users.session(sessionHash(cookie), clock());
}

/** A hook that refuses a request without a session. */
export function requireSession(collector: Pick<Collector, "store" | "clock">) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const session = await sessionOf(collector, request);
    if (session) {
      request.session = session;
      return;
    }
    await reply
      .code(401)
      .header("www-authenticate", "Bearer")
      .send({ error: "unauthorized", reason: "log in, or send a bearer token" });
  };
}

declare module "fastify" {
  interface FastifyRequest {
    session?: Session;
  }
}
