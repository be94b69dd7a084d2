import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** What to do with the n-th request (from 0). */
export type Reply = (response: ServerResponse, index: number) => void;

/** A bare HTTP server on 127.0.0.1 that remembers what it was sent and misbehaves as it is reported. */
export interface Peer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly received: readonly Received[];
  readonly connections: () => number;
  /** Ends when that many requests were received. */
  count(requests: number): Promise<void>;
}

export interface PeerOptions {
  readonly port?: number;
  readonly tls?: { readonly key: string; readonly cert: string };
}

export async function peerThat(reply: Reply, options: PeerOptions = {}): Promise<Peer> {
  const received: Received[] = [];
  let connections = 0;
  const server = options.tls ? createTlsServer(options.tls) : createServer();
  server.on("connection", () => (connections += 1));
  server.on("request", (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString("utf8");
      const index = received.push({ headers: request.headers, body }) - 1;
      server.emit("received");
      reply(response, index);
    });
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `${options.tls ? "https" : "http"}://127.0.0.1:${port}/hook`,
    port,
    received,
    connections: () => connections,
    async count(requests) {
      const signal = AbortSignal.timeout(20_000);
      while (received.length < requests) await once(server, "received", { signal });
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

export function status(code: number, headers: Readonly<Record<string, string>> = {}): Reply {
  return (response) => response.writeHead(code, headers).end("{}");
}

/** The replies in turn, the last one for ever. */
export function inTurn(...replies: readonly Reply[]): Reply {
  return (response, index) => replies[Math.min(index, replies.length - 1)]?.(response, index);
}
