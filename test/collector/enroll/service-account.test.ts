import test from "ava";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { SignJWT, exportJWK, generateKeyPair } from "jose";
import { reviewOffline, reviewOnline } from "../../../src/collector/enroll/review.ts";
import { ownerOfReview } from "../../../src/collector/enroll/service-account.ts";
import { missingProgram } from "../../helpers/missing.ts";
import { Reporter, startCollector } from "../../helpers/collector.ts";

const account = {
  namespace: "fim-system",
  name: "fim-agent",
  audience: "fim-collector",
  cluster: "prod",
};
const username = "system:serviceaccount:fim-system:fim-agent";
const issuer = "https://kubernetes.default.svc";

function review(user: object = {}, status: object = {}): unknown {
  const extra = { "authentication.kubernetes.io/node-name": ["cp-1"] };
  return {
    status: {
      authenticated: true,
      audiences: ["fim-collector"],
      user: { username, extra, ...user },
      ...status,
    },
  };
}

test("a review names the node, or the pod where the token has no node", (t) => {
  t.deepEqual(ownerOfReview(review(), account), { node: "cp-1" });
  const extra = { "authentication.kubernetes.io/pod-name": ["fim-agent-x"] };
  const expected = { pod: { namespace: "fim-system", pod: "fim-agent-x" } };
  t.deepEqual(ownerOfReview(review({ extra }), account), expected);
});

test("a review of another audience, account or state lets no node in", (t) => {
  const cases = [
    [review({}, { authenticated: false }), /refuses/],
    [review({}, { audiences: ["api"] }), /audience/],
    [review({ username: "system:serviceaccount:default:fim-agent" }), /service account/],
    [review({ extra: {} }), /no pod and no node/],
    [{}, /refuses/],
    [null, /refuses/],
  ] as const;
  for (const [given, why] of cases) {
    const owner = ownerOfReview(given, account);
    t.regex("reason" in owner ? owner.reason : "let in", why);
  }
});

interface Issuer extends Disposable {
  readonly jwksFile: string;
  token(claims?: object, more?: { audience?: string; expires?: string }): Promise<string>;
}

async function makeIssuer(): Promise<Issuer> {
  const dir = mkdtempSync(join(tmpdir(), "fim-jwks-"));
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const jwksFile = join(dir, "jwks.json");
  const jwk = { ...(await exportJWK(publicKey)), kid: "k1", alg: "RS256" };
  writeFileSync(jwksFile, JSON.stringify({ keys: [jwk] }));
  const kubernetes = { namespace: "fim-system", node: { name: "cp-1" } };
  return {
    jwksFile,
    token: async (claims = {}, { audience = "fim-collector", expires = "10m" } = {}) =>
      await new SignJWT({ "kubernetes.io": kubernetes, sub: username, ...claims })
        .setProtectedHeader({ alg: "RS256", kid: "k1" })
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(privateKey),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true }),
  };
}

test("offline, a token holds by the API server's key, audience, time and account alone", async (t) => {
  using api = await makeIssuer();
  using other = await makeIssuer();
  const reviewToken = reviewOffline({ jwksFile: api.jwksFile, issuer }, account);
  t.deepEqual(await reviewToken(await api.token()), { node: "cp-1" });
  const bad = [
    await other.token(),
    await api.token({}, { audience: "api" }),
    await api.token({}, { expires: "-1m" }),
    await api.token({ sub: "system:serviceaccount:fim-system:other" }),
    await api.token({ "kubernetes.io": { namespace: "fim-system" } }),
    "a.b.c",
  ];
  for (const token of bad) t.true("reason" in (await reviewToken(token)), token.slice(0, 20));
});

test("a service account's token enrols its own node, for one key", async (t) => {
  using api = await makeIssuer();
  const reviewToken = reviewOffline({ jwksFile: api.jwksFile, issuer }, account);
  const admission = { serviceAccount: { cluster: "prod", review: reviewToken } };
  await using serving = await startCollector({ admission });
  const token = await api.token();
  t.is((await new Reporter("cp-2").enrol(serving, token)).status, 401, "another node");
  const other = new Reporter("cp-1", { cluster: "test" });
  t.is((await other.enrol(serving, token)).status, 401, "another cluster");
  t.is((await new Reporter("cp-1").enrol(serving, token)).status, 200);
  t.is((await new Reporter("cp-1").enrol(serving, token)).status, 401, "stolen token");
  t.is((await new Reporter("cp-1").enrol(serving, await api.token({ jti: "2" }))).status, 200);
  t.deepEqual(await serving.types(), ["fim.collector.rekeyed"]);
});

test("a listed key enrols without a token, and no other does", async (t) => {
  const listed = new Reporter("cp-1");
  const { publicKey } = listed.enrolmentKeys();
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const admission = { authorized: () => `# reviewed\nprod/cp-1 ${raw.toString("base64")}\n` };
  await using serving = await startCollector({ admission });
  t.is((await listed.enrol(serving, "")).status, 200);
  t.is((await new Reporter("cp-1").enrol(serving, "")).status, 401);
  t.is((await new Reporter("cp-2", { key: listed.key }).enrol(serving, "")).status, 401);
});

const missing = missingProgram("openssl");
const title = "the API server is asked over TLS, and for the node of a pod";
(missing === undefined ? test : test.skip)(missing ? `${title} (${missing})` : title, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "fim-api-"));
  const at = (name: string): string => join(dir, name);
  const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const files = ["-keyout", at("key"), "-out", at("ca.crt")];
  const args = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", ...files, ...subject];
  execFileSync("openssl", args, { stdio: "ignore" });
  writeFileSync(at("token"), "own-token\n");
  const asked: string[] = [];
  const server = createServer(
    { key: readFileSync(at("key")), cert: readFileSync(at("ca.crt")) },
    (request, response) => {
      asked.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      const extra = { "authentication.kubernetes.io/pod-name": ["fim-agent-x"] };
      const answer = request.method === "POST" ? review({ extra }) : { spec: { nodeName: "cp-7" } };
      response.end(JSON.stringify(answer));
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    const api = { host: "localhost", port, caFile: at("ca.crt"), tokenFile: at("token") };
    t.deepEqual(await reviewOnline(api, account)("token"), { node: "cp-7" });
    t.deepEqual(asked, [
      "POST /apis/authentication.k8s.io/v1/tokenreviews Bearer own-token",
      "GET /api/v1/namespaces/fim-system/pods/fim-agent-x Bearer own-token",
    ]);
    const away = await reviewOnline({ ...api, port: 1 }, account)("token");
    t.regex("reason" in away ? away.reason : "", /cannot be asked/);
  } finally {
    server.closeAllConnections();
    server.close();
    rmSync(dir, { recursive: true });
  }
});
