import { createHmac, createPublicKey, timingSafeEqual, verify } from "node:crypto";
import { createServer } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { until } from "./wait.ts";

/** One request as it arrived. */
interface Received {
  /** Milliseconds since 1970 when its last byte was there. */
  readonly at: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly id: string;
  /** What a good event says of itself. */
  readonly type: string;
  readonly data: Readonly<Record<string, unknown>>;
  /** Why it is no well signed webhook; absent when it is one. */
  readonly fault?: string;
  /** The status that was sent back, or what was done instead. */
  readonly answered: number | "hang" | "close" | "close-mid-body";
}

/** What the receiver does with a request. Nothing given: 204. */
type Answer =
  | {
      readonly status?: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      /** Milliseconds before the answer is sent. */
      readonly delay?: number;
    }
  | "hang"
  | "close"
  | "close-mid-body";

export interface ReceiverOptions {
  readonly port?: number;
  /** "whsec_…": one of them must have signed, when any is given. */
  readonly secrets?: readonly string[];
  /** "whpk_…": one of them must have signed, when any is given. */
  readonly publicKeys?: readonly string[];
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  /** Every request, in the order in which they were complete. */
  readonly requests: readonly Received[];
  /** The well signed requests that were answered with 2xx, each webhook-id once. */
  accepted(): readonly Received[];
  /** From now on every request is answered so. A function is given the number of the request, from 0. */
  answer(answer: Answer | ((number: number) => Answer)): void;
  /** Awaits what the accepted requests must show. */
  until(predicate: (accepted: readonly Received[]) => boolean, deadline?: number): Promise<void>;
  /** Stops listening and breaks every connection. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const noContent = (): Answer => ({});

/** A webhook's receiver on 127.0.0.1: it verifies, remembers, and answers as it is reported. */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const requests: Received[] = [];
  const timers = new Set<NodeJS.Timeout>();
  let answers: (number: number) => Answer = noContent;
  let count = 0;
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const answer = answers(count);
    count += 1;
    const body = await buffer(request);
    const received = describe(request.headers, body, options);
    const status =
      typeof answer === "string" ? answer : (answer.status ?? (received.fault ? 401 : 204));
    requests.push({ ...received, answered: status });
    if (answer === "hang") return;
    if (answer === "close") return void request.socket.destroy();
    if (typeof answer === "string") {
      response.writeHead(200, { "content-length": "1000" });
      response.write("half of", () => request.socket.destroy());
      return;
    }
    const send = (): void => {
      response.writeHead(typeof status === "number" ? status : 204, answer.headers);
      response.end(answer.body);
    };
    if (answer.delay === undefined) send();
    else timers.add(setTimeout(send, answer.delay));
  };
  const server = createServer((request, response) => {
    // A peer that goes away in the middle of a request leaves nothing to record.
    take(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const accepted = (): readonly Received[] => acceptedOf(requests);
  const stop = async (): Promise<void> => {
    for (const timer of timers) clearTimeout(timer);
    const closed = new Promise((resolve) => {
      server.close(resolve);
    });
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${port}/hook`,
    port,
    requests,
    accepted,
    answer: (next) => {
      count = 0;
      answers = typeof next === "function" ? next : () => next;
    },
    until: async (predicate, deadline) => {
      await until(() => predicate(accepted()), deadline);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

function acceptedOf(requests: readonly Received[]): readonly Received[] {
  const unique = new Map<string, Received>();
  for (const request of requests) {
    const good = typeof request.answered === "number" && request.answered < 300 && !request.fault;
    if (good && !unique.has(request.id)) unique.set(request.id, request);
  }
  return [...unique.values()];
}

type Described = Omit<Received, "answered">;

function describe(headers: IncomingHttpHeaders, body: Buffer, options: ReceiverOptions): Described {
  const at = Date.now();
  const id = String(headers["webhook-id"] ?? "");
  const none = { at, headers, body, id, type: "", data: {} };
  const fault = signatureFault(headers, body, options);
  if (fault) return { ...none, fault };
  try {
    const { type, timestamp, data } = JSON.parse(body.toString("utf8")) as Record<string, unknown>;
    const good = typeof type === "string" && typeof data === "object" && data !== null;
    if (!good || Number.isNaN(Date.parse(String(timestamp)))) return { ...none, fault: "no event" };
    return { ...none, type, data: data as Record<string, unknown> };
  } catch {
    return { ...none, fault: "no JSON" };
  }
}

/** Standard Webhooks 1.0.0, written from its text alone. Undefined: the signature is good. */
function signatureFault(
  headers: IncomingHttpHeaders,
  body: Buffer,
  { secrets = [], publicKeys = [] }: ReceiverOptions,
): string | undefined {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  const signatures = headers["webhook-signature"];
  if (typeof id !== "string" || !/^[^.\s]+$/.test(id)) return "no webhook-id";
  if (typeof timestamp !== "string" || !/^\d+$/.test(timestamp)) return "no webhook-timestamp";
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return "webhook-timestamp too far off";
  const signed = Buffer.concat([Buffer.from(`${id}.${timestamp}.`), body]);
  const given = String(signatures ?? "")
    .split(" ")
    .map((one) => one.split(",", 2));
  const valuesOf = (version: string): readonly Buffer[] =>
    given
      .filter(([name]) => name === version)
      .map(([, value]) => Buffer.from(value ?? "", "base64"));
  const macs = secrets.map((secret) =>
    createHmac("sha256", Buffer.from(secret.replace(/^whsec_/, ""), "base64"))
      .update(signed)
      .digest(),
  );
  const isMac = valuesOf("v1").some((value) =>
    macs.some((mac) => mac.length === value.length && timingSafeEqual(mac, value)),
  );
  if (macs.length > 0 && !isMac) return "no v1 signature by a known secret";
  const keys = publicKeys.map(readPublicKey);
  const isSigned = valuesOf("v1a").some((value) =>
    keys.some((key) => verify(null, signed, key, value)),
  );
  if (keys.length > 0 && !isSigned) return "no v1a signature by a known key";
  return undefined;
}

/** "whpk_" and 32 bytes in base64; RFC 8410 §4 puts these twelve bytes before them. */
function readPublicKey(text: string): ReturnType<typeof createPublicKey> {
  const raw = Buffer.from(text.replace(/^whpk_/, ""), "base64");
  const der = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  return createPublicKey({ key: der, format: "der", type: "spki" });
}
