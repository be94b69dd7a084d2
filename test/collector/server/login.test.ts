import test from "ava";
import { hashPassword } from "../../../src/collector/password.ts";
import { startCollector } from "../../helpers/collector.ts";
import type { Serving } from "../../helpers/collector.ts";

const page: Record<string, string> = { "fim-page": "1", "content-type": "application/json" };

async function addUser({ collector }: Serving): Promise<void> {
  await collector.store.users.add("ada", await hashPassword("correct horse"), Date.now());
}

async function login(
  { url }: Serving,
  { name = "ada", password = "correct horse", headers = page } = {},
): Promise<Response> {
  const body = JSON.stringify({ name, password });
  return await fetch(`${url}/v1/login`, { method: "POST", headers, body });
}

function cookieOf(response: Response): string {
  return response.headers.getSetCookie()[0]?.split(";")[0] ?? "";
}

test("a login gives a cookie that scripts and other sites cannot use, and ends by logout", async (t) => {
  await using serving = await startCollector();
  await addUser(serving);
  const response = await login(serving);
  t.is(response.status, 200);
  const [set = ""] = response.headers.getSetCookie();
  t.regex(set, /^fim_session=[\w-]{40,}; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/);
  const headers = { ...page, cookie: cookieOf(response) };
  const me = await fetch(`${serving.url}/v1/me`, { headers });
  t.like(await me.json(), { user: "ada" });
  t.is(
    (await fetch(`${serving.url}/v1/logout`, { method: "POST", headers, body: "{}" })).status,
    200,
  );
  t.is((await fetch(`${serving.url}/v1/me`, { headers })).status, 401);
});

test("behind TLS the cookie is sent over TLS alone", async (t) => {
  await using serving = await startCollector();
  await addUser(serving);
  const { host } = new URL(serving.url);
  const response = await login(serving, { headers: { ...page, origin: `https://${host}` } });
  t.regex(response.headers.getSetCookie()[0] ?? "", /; Secure/);
});

test("a session ends after twelve hours", async (t) => {
  await using serving = await startCollector();
  await addUser(serving);
  const headers = { cookie: cookieOf(await login(serving)) };
  serving.skew = 12 * 3_600_000 - 60_000;
  t.is((await fetch(`${serving.url}/v1/me`, { headers })).status, 200);
  serving.skew = 12 * 3_600_000 + 60_000;
  t.is((await fetch(`${serving.url}/v1/me`, { headers })).status, 401);
});

test("a wrong password, an unknown user and a user without a password get the same answer", async (t) => {
  await using serving = await startCollector();
  await addUser(serving);
  for (const given of [{ password: "wrong" }, { name: "eve" }, { name: "tester" }]) {
    const response = await login(serving, given);
    t.is(response.status, 401);
    t.deepEqual(await response.json(), {
      error: "credentials",
      reason: "name or password is wrong",
    });
    t.deepEqual(response.headers.getSetCookie(), []);
  }
  t.is((await login(serving, { name: "" })).status, 400);
});

test("guesses are slowed down: for one address, and for one user", async (t) => {
  await using serving = await startCollector();
  await addUser(serving);
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => login(serving, { password: "x" })),
  );
  const slowed = answers.filter(({ status }) => status === 429);
  t.true(slowed.length >= 2);
  for (const { headers } of slowed) t.regex(headers.get("retry-after") ?? "", /^[1-9]\d*$/);
});

test("a request that another site makes with the cookie is refused", async (t) => {
  await using serving = await startCollector();
  await addUser(serving);
  const cookie = cookieOf(await login(serving));
  const json = { "content-type": "application/json", cookie };
  const foreign: readonly Record<string, string>[] = [
    json,
    { ...json, "content-type": "text/plain" },
    { ...json, ...page, origin: "https://evil.example" },
    { ...json, ...page, origin: "null" },
    { ...json, ...page, "sec-fetch-site": "cross-site" },
    { ...json, ...page, "sec-fetch-site": "same-site" },
  ];
  for (const headers of foreign) {
    const init = { method: "POST", headers, body: "{}" };
    t.is((await fetch(`${serving.url}/v1/logout`, init)).status, 403, JSON.stringify(headers));
    t.is((await login(serving, { headers })).status, 403);
  }
  t.is((await fetch(`${serving.url}/v1/me`, { headers: { cookie } })).status, 200);
});

test("every answer forbids frames, sniffing, referrers and inline scripts", async (t) => {
  await using serving = await startCollector();
  for (const path of ["/", "/alerts/0199", "/nodes", "/v1/me", "/nothing"]) {
    const { headers } = await fetch(`${serving.url}${path}`);
    const policy = headers.get("content-security-policy") ?? "";
    t.true(policy.includes("default-src 'self'") && policy.includes("frame-ancestors 'none'"));
    t.false(policy.includes("unsafe"), policy);
    t.is(headers.get("x-content-type-options"), "nosniff", path);
    t.is(headers.get("referrer-policy"), "no-referrer", path);
  }
  t.is((await fetch(`${serving.url}/`)).headers.get("content-type"), "text/html; charset=utf-8");
  t.is((await fetch(`${serving.url}/..%2fserver/server.ts`)).status, 404);
  t.is((await fetch(`${serving.url}/v1/me`)).headers.get("cache-control"), "no-store");
});
