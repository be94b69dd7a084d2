import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

interface Asked {
  /** Path and query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Answered {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** A service of a SOC on 127.0.0.1. */
export interface Service extends AsyncDisposable {
  readonly url: string;
  readonly asked: readonly Asked[];
  /** The next requests are answered so, instead of by the service's own rules. */
  readonly interrupt: (...answers: readonly Answered[]) => void;
}

/** A server that answers each POST by these rules; a text is sent as it is, another body as JSON. */
export async function startService(rules: (asked: Asked) => Answered): Promise<Service> {
  const asked: Asked[] = [];
  const queued: Answered[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { url: path = "", method, headers } = request;
    const one = { path, headers, body: await text(request) };
    asked.push(one);
    const answer: Answered = method === "POST" ? (queued.shift() ?? rules(one)) : { status: 405 };
    const sent = answer.body ?? "";
    response.writeHead(answer.status, answer.headers);
    response.end(typeof sent === "string" ? sent : JSON.stringify(sent));
  };
  const server = createServer((request, response) => {
    take(request, response).catch(() => request.socket.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    asked,
    interrupt: (...answers) => void queued.push(...answers),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
