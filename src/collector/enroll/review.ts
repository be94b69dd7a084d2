import { readFileSync } from "node:fs";
import { request } from "node:https";
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import type { JSONWebKeySet } from "jose";
import { IntegrityError, messageOf } from "../../core/error.ts";
import { textAt } from "../../core/record/fields.ts";
import { ownerOfClaims, ownerOfReview } from "./service-account.ts";
import type { PodName, ServiceAccount, TokenOwner } from "./service-account.ts";

/** Says which node a service account's token is for. */
export type ReviewToken = (token: string) => Promise<TokenOwner>;

/** An API server, and the files by which this collector is known to it. */
export interface ApiServer {
  readonly host: string;
  readonly port: number;
  readonly caFile: string;
  /** The kubelet renews it. */
  readonly tokenFile: string;
}

const mostAnswer = 1024 * 1024;
/** Milliseconds. */
const timeout = 10_000;

/** The API server of the cluster in which this pod runs. Undefined: it runs in none. */
export function podApiServer(
  env: Readonly<Record<string, string | undefined>>,
): ApiServer | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  const dir = "/var/run/secrets/kubernetes.io/serviceaccount";
  if (host === undefined || port === undefined) return undefined;
  return { host, port: Number(port), caFile: `${dir}/ca.crt`, tokenFile: `${dir}/token` };
}

/** Asks the API server (TokenReview), which also knows whether the pod still exists. */
export function reviewOnline(api: ApiServer, account: ServiceAccount): ReviewToken {
  return async (token) => {
    try {
      const found = ownerOfReview(await postReview(api, token, account), account);
      return "pod" in found ? await nodeOfPod(api, found.pod) : found;
    } catch (error) {
      return { reason: `the API server cannot be asked: ${messageOf(error)}` };
    }
  };
}

async function postReview(
  api: ApiServer,
  token: string,
  account: ServiceAccount,
): Promise<unknown> {
  const review = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    spec: { token, audiences: [account.audience] },
  };
  return await ask(api, "/apis/authentication.k8s.io/v1/tokenreviews", review);
}

async function nodeOfPod(api: ApiServer, { namespace, pod }: PodName): Promise<TokenOwner> {
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}`;
  const node = textAt(await ask(api, path), "spec", "nodeName");
  return node === undefined ? { reason: "the token's pod runs on no node" } : { node };
}

/** GET, or POST of a body. */
async function ask(api: ApiServer, path: string, body?: object): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const outgoing = request(
    {
      host: api.host,
      port: api.port,
      path,
      method: body ? "POST" : "GET",
      ca: readFileSync(api.caFile),
      rejectUnauthorized: true,
      timeout,
      headers: {
        authorization: `Bearer ${readFileSync(api.tokenFile, "utf8").trim()}`,
        "content-type": "application/json",
        accept: "application/json",
      },
    },
    (response) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > mostAnswer) outgoing.destroy(new Error("the answer is too long"));
        else chunks.push(chunk);
      });
      response.once("error", reject).once("end", () => {
        const { statusCode = 0 } = response;
        if (statusCode < 200 || statusCode > 299) reject(new Error(`status ${statusCode}`));
        else resolve(parse(Buffer.concat(chunks)));
      });
    },
  );
  outgoing.once("timeout", () => outgoing.destroy(new Error(`no answer within ${timeout} ms`)));
  outgoing.once("error", reject).end(body && JSON.stringify(body));
  return await promise;
}

function parse(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString("utf8"));
  } catch {
    return undefined;
  }
}

interface Offline {
  /** The API server's /openid/v1/jwks, as a file. */
  readonly jwksFile: string;
  /** Its --service-account-issuer. */
  readonly issuer: string;
}

/** Verifies tokens by the API server's public keys alone: weaker, for a revoked token is good until it expires. */
export function reviewOffline({ jwksFile, issuer }: Offline, account: ServiceAccount): ReviewToken {
  readKeys(jwksFile);
  return async (token) => {
    try {
      const keys = createLocalJWKSet(readKeys(jwksFile));
      const { audience } = account;
      const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms });
      return ownerOfClaims(payload, account);
    } catch (error) {
      return { reason: `the token does not hold: ${messageOf(error)}` };
    }
  };
}

/** Those that an API server signs with. */
const algorithms = ["RS256", "ES256", "ES384", "ES512"];

function readKeys(file: string): JSONWebKeySet {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as JSONWebKeySet;
  } catch (cause) {
    throw new IntegrityError("CONFIG_INVALID", `--jwks ${file}: ${messageOf(cause)}`, {
      hint: "write it with: kubectl get --raw /openid/v1/jwks",
      cause,
    });
  }
}

/** It looks like a JSON Web Token (RFC 7519), not like a join token. */
export function isJwt(token: string): boolean {
  try {
    return token.split(".").length === 3 && decodeProtectedHeader(token).alg !== undefined;
  } catch {
    return false;
  }
}
