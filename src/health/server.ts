import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { IntegrityError } from "../core/error.ts";
import type { Listen } from "../config/options.ts";

export interface Health {
  /** Why the agent cannot do its work; empty: it can. */
  readonly sick: () => readonly string[];
  /** What it knows less of, although it can do its work. */
  readonly degraded: () => readonly string[];
  /** What is missing until no change can be missed; empty: ready. */
  readonly unready: () => readonly string[];
  readonly metrics: () => Promise<{ readonly type: string; readonly text: string }>;
}

const mostConnections = 64;
/** Milliseconds for which one text of the metrics answers every scrape. */
const metricsLast = 250;
/** Milliseconds in which a client must have sent its request, and then those in which it must have read its answer. */
const patience = 5000;

/** /healthz, /readyz and /metrics, for the kubelet, Prometheus and people. */
export class HealthServer implements AsyncDisposable {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(listen: Listen, health: Health): Promise<HealthServer> {
    const shared: Health = { ...health, metrics: cached(health.metrics) };
    const server = createServer((request, response) => {
      if (!isFirst(request.socket)) return;
      response.setHeader("connection", "close");
      const path = (request.url ?? "").split("?", 1)[0] ?? "";
      if (request.method === "GET") {
        answer(path, shared, response).catch((error: unknown) => response.destroy(error as Error));
      } else {
        response.setHeader("allow", "GET");
        send(response, 405, { error: "expected GET" });
      }
    });
    server.on("connection", cutOffLate);
    keepNewest(server, mostConnections);
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(unusable(listen, error)));
      server.listen(listen.port, listen.host, resolve);
    });
    return new HealthServer(server);
  }

  /** The address it listens on: the real port when 0 was asked for. */
  get address(): Listen {
    const { address, port } = this.#server.address() as AddressInfo;
    return { host: address, port };
  }

  /** Closes every connection: a hanging scrape must not delay the agent's end. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Many clients can neither use up memory nor displace a probe: the oldest connection makes room. */
function keepNewest(server: Server, most: number): void {
  const open = new Set<Socket>();
  server.on("connection", (socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    const [oldest] = open;
    if (open.size <= most || !oldest) return;
    open.delete(oldest);
    oldest.destroy();
  });
}

/**
 * Cuts off a slow client. The limits of node:http count the time in which this process itself was busy; here, what
 * arrived meanwhile is read before its client is called late.
 */
function cutOffLate(socket: Socket): void {
  let timer = setTimeout(() => setImmediate(ifSilent), patience);
  socket.once("close", () => clearTimeout(timer));
  const ifSilent = (): void => {
    if (answering.has(socket) && !socket.destroyed) {
      timer = setTimeout(() => socket.destroy(), patience);
    } else {
      socket.destroy();
    }
  };
}

/** One request a connection: a client that sends many and reads none costs no more than one answer. */
const answering = new WeakSet<Socket>();

function isFirst(socket: Socket): boolean {
  if (!answering.has(socket)) {
    answering.add(socket);
    return true;
  }
  socket.destroy();
  return false;
}

type Metrics = Health["metrics"];

/** Makes the text at most once in a while, however many ask for it. */
function cached(metrics: Metrics): Metrics {
  let text: ReturnType<Metrics> | undefined;
  let until = 0;
  return async () => {
    const now = performance.now();
    if (text === undefined || now >= until) {
      text = metrics();
      until = now + metricsLast;
    }
    return await text;
  };
}

async function answer(path: string, health: Health, response: ServerResponse): Promise<void> {
  if (path === "/healthz") {
    const reasons = health.sick();
    const ok = reasons.length === 0;
    send(response, ok ? 200 : 503, { ok, reasons, degraded: health.degraded() });
  } else if (path === "/readyz") {
    const reasons = health.unready();
    send(response, reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons });
  } else if (path === "/metrics") {
    const { type, text } = await health.metrics();
    write(response, 200, { type, text });
  } else {
    send(response, 404, { error: "expected /healthz, /readyz or /metrics" });
  }
}

function send(response: ServerResponse, status: number, body: object): void {
  write(response, status, { type: "application/json", text: `${JSON.stringify(body)}\n` });
}

function write(
  response: ServerResponse,
  status: number,
  content: { readonly type: string; readonly text: string },
): void {
  response.writeHead(status, {
    "content-type": content.type,
    "content-length": Buffer.byteLength(content.text),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  response.end(content.text);
}

function unusable(listen: Listen, error: NodeJS.ErrnoException): IntegrityError {
  const place = `${listen.host}:${listen.port}`;
  const why = error.code === "EADDRINUSE" ? "another program listens there" : error.message;
  return new IntegrityError("CONFIG_INVALID", `listen ${place}: ${why}`, {
    hint: "choose another address with --listen HOST:PORT (port 0 takes any that is free)",
    cause: error,
  });
}
