import { request } from "node:http";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

export interface Reply {
  readonly status: number;
  readonly body: string;
}

export const get = async (url: string): Promise<Reply> => await send("GET", url, "");

export const post = async (url: string, body: string, headers: Record<string, string> = {}) =>
  await send("POST", url, body, headers);

async function send(method: string, url: string, body: string, headers = {}): Promise<Reply> {
  const { promise, resolve, reject } = Promise.withResolvers<Reply>();
  // A connection of its own: a peer that is stopped must not be found again through a kept one.
  const outgoing = request(url, { method, agent: false, timeout: 10_000, headers }, (response) => {
    text(response).then((all) => resolve({ status: response.statusCode ?? 0, body: all }), reject);
  });
  outgoing.once("timeout", () => outgoing.destroy(new Error(`${url}: no answer within 10 s`)));
  outgoing.once("error", reject).end(body);
  return await promise;
}

/** A port of 127.0.0.1 on which no process listens at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
