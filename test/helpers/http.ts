import { randomInt } from "node:crypto";
import { request as plainRequest } from "node:http";
import { request as tlsRequest } from "node:https";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";

export interface Reply {
  readonly status: number;
  readonly body: string;
}

export const get = async (url: string): Promise<Reply> => await send("GET", url, "");

export const post = async (url: string, body: string, headers: Record<string, string> = {}) =>
  await send("POST", url, body, headers);

/** GET from a server whose certificate, if it has one, is not looked at. */
export const getUnverified = async (url: string, headers: Record<string, string>) =>
  await send("GET", url, "", headers);

async function send(method: string, url: string, body: string, headers = {}): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  // A connection of its own: a peer that is stopped must not be found again through a kept one.
  const request = url.startsWith("https:") ? tlsRequest : plainRequest;
  const options = { method, agent: false, timeout: 10_000, headers, rejectUnauthorized: false };
  const outgoing = request(url, options, (response) => {
    text(response).then((all) => resolve({ status: response.statusCode ?? 0, body: all }), reject);
  });
  outgoing.once("timeout", () => outgoing.destroy(new Error(`${url}: no answer within 10 s`)));
  outgoing.once("error", reject).end(body);
  return await promise;
}

/** Ports below those that the kernel gives to outgoing connections (net.ipv4.ip_local_port_range). */
const firstPort = 10_000;
const lastPort = 31_999;

/**
 * A port of 127.0.0.1 on which no process listens. Another connection cannot take it before the test does: the kernel
 * gives none of these by itself.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(firstPort, lastPort + 1);
    if (await isFree(port)) return port;
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
