import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { makeSecret } from "../enroll/token.ts";
import { passwordMatches } from "../password.ts";
import { RateLimit } from "../rate-limit.ts";
import { cookieName, isOwnPage, refuseForeign, requireSession, sessionHash } from "./auth.ts";
import type { ServerOptions } from "./server.ts";

/** Milliseconds that a login lasts. */
const sessionTime = 12 * 3_600_000;

/** Attempts of one address, and for one user: a guess every six seconds is all that an attacker gets. */
const addressRate = { burst: 10, perSecond: 1 / 6 };
const userRate = { burst: 20, perSecond: 1 / 6 };

/** Logins that wait while one password is checked, which takes 128 MiB. */
const mostWaiting = 8;

const schema = z.strictObject({
  name: z.string().min(1).max(253),
  password: z.string().min(1).max(1024),
});

/** POST /v1/login and /v1/logout, GET /v1/me. */
export function loginRoutes(server: FastifyInstance, options: ServerOptions): void {
  const { collector, log } = options;
  const { users } = collector.store;
  const limits = { address: new RateLimit(addressRate), user: new RateLimit(userRate) };
  const check = inTurn(passwordMatches);

  server.post("/v1/login", async (request, reply) => {
    if (!isOwnPage(request)) return await refuseForeign(reply);
    const parsed = schema.safeParse(request.body);
    if (!parsed.success)
      return await reply.code(400).send({ error: "request", reason: "expected name and password" });
    const { name, password } = parsed.data;
    const wait = limits.address.take(request.ip, 1) || limits.user.take(name, 1);
    if (wait > 0) return await tooMany(reply, wait);
    // A user who does not exist costs the same time.
    const matches = await check(password, await users.password(name));
    if (matches === "busy") return await tooMany(reply, 1000);
    if (!matches) {
      log.warn({ from: request.ip }, "login refused");
      return await reply
        .code(401)
        .send({ error: "credentials", reason: "name or password is wrong" });
    }
    const created = collector.clock();
    const expires = created + sessionTime;
    const secret = makeSecret("fimpage");
    await users.addSession(sessionHash(secret), { user: name, kind: "page", created, expires });
    log.info({ user: name, from: request.ip }, "logged in");
    const secure = options.tls !== undefined || request.headers.origin?.startsWith("https:");
    return await reply
      .setCookie(cookieName, secret, {
        ...cookie,
        secure: secure === true,
        maxAge: sessionTime / 1000,
      })
      .send({ user: name, expires: new Date(expires).toISOString() });
  });

  const preHandler = requireSession(collector);
  server.post("/v1/logout", { preHandler }, async (request, reply) => {
    const secret = request.cookies[cookieName];
    if (secret !== undefined) await users.endSession(sessionHash(secret));
    return await reply.clearCookie(cookieName, cookie).send({ ok: true });
  });

  server.get("/v1/me", { preHandler }, async ({ session }) => ({
    user: session?.user,
    expires: session?.expires === undefined ? null : new Date(session.expires).toISOString(),
  }));
}

const cookie = { path: "/", httpOnly: true, sameSite: "strict" } as const;

type Check = (password: string, stored: string | undefined) => Promise<boolean>;

/** One check at a time, and a short queue: a flood of logins takes neither the memory nor the threads. */
function inTurn(check: Check): (...given: Parameters<Check>) => Promise<boolean | "busy"> {
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  return async (...given) => {
    if (waiting > mostWaiting) return "busy";
    waiting += 1;
    const result = last.then(() => check(...given));
    last = result.catch(() => undefined);
    return await result.finally(() => (waiting -= 1));
  };
}

async function tooMany(reply: FastifyReply, wait: number): Promise<FastifyReply> {
  const seconds = Math.ceil(wait / 1000);
  return await reply
    .code(429)
    .header("retry-after", String(seconds))
    .send({ error: "too many requests", reason: `try again in ${seconds} s` });
}
