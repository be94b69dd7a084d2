import { Agent as PlainAgent, request as plainRequest } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent as TlsAgent, request as tlsRequest } from "node:https";
import type { RequestOptions as TlsOptions } from "node:https";
import type { Answer } from "../core/backoff.ts";
import { redactText } from "../core/redact.ts";
import { Authorities } from "./authorities.ts";

interface PostOptions {
  readonly url: string;
  /** File with the only trusted certificate authorities (PEM); absent: the system's. */
  readonly ca?: string;
  /** Address of an HTTP proxy: forwards plain requests, and tunnels TLS (RFC 9110 §9.3.6). */
  readonly proxy?: string;
  /** PEM of the only certificate that the receiver may have, by whatever name it is reached. */
  readonly pinned?: string;
  /** Milliseconds from connecting to the last byte of the answer. */
  readonly timeout?: number;
  /** Answers hold the beginning of their text. */
  readonly readsBody?: boolean;
}

export interface Message {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const defaultTimeout = 15_000;
const maxAnswerBytes = 64 * 1024;
/** Of an answer that is read: one line for each record of a request. */
const maxReadBytes = 1024 * 1024;

/** One receiver over one kept connection. Follows no redirect, always verifies TLS. */
export class Poster implements Disposable {
  readonly #url: URL;
  readonly #timeout: number;
  readonly #readsBody: boolean;
  readonly #isPinned: boolean;
  readonly #authorities: Authorities | undefined;
  readonly #agent: PlainAgent;
  readonly #request: (url: URL, options: TlsOptions) => ClientRequest;

  constructor(options: PostOptions) {
    this.#url = new URL(options.url);
    this.#timeout = options.timeout ?? defaultTimeout;
    this.#readsBody = options.readsBody === true;
    this.#isPinned = options.pinned !== undefined;
    const isTls = this.#url.protocol === "https:";
    this.#authorities = isTls && options.ca !== undefined ? new Authorities(options.ca) : undefined;
    const { proxy } = options;
    const shared = {
      keepAlive: true,
      maxSockets: 1,
      maxFreeSockets: 1,
      noDelay: true,
      // Never from the environment: a proxy is named in the configuration.
      ...(proxy !== undefined && { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }),
    };
    if (isTls) {
      const { pinned } = options;
      const pin = pinned === undefined ? {} : { ca: pinned, checkServerIdentity: () => undefined };
      // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment has no effect.
      this.#agent = new TlsAgent({ ...shared, ...pin, rejectUnauthorized: true });
      this.#request = tlsRequest;
    } else {
      this.#agent = new PlainAgent(shared);
      this.#request = plainRequest;
    }
  }

  /** Sends once. Undefined when the signal aborted first; every other failure is an answer. */
  async post(message: Message, signal: AbortSignal): Promise<Answer | undefined> {
    if (signal.aborted) return undefined;
    const first = await this.#attempt(message, signal);
    // The peer may close an idle connection just when it is used again: not a failure of the peer.
    const answer = first?.stale ? await this.#attempt(message, signal) : first;
    return answer?.answer;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /** Node's own words advise an option of Node, which helps with neither. */
  #certificateFault({ code = "" }: NodeJS.ErrnoException): string | undefined {
    if (!untrustedCodes.has(code)) return undefined;
    return this.#isPinned
      ? "its certificate is not the one in the join token: make a new token, or name its authority with ca"
      : "no trusted authority signed its certificate: name the authority with ca";
  }

  #attempt(message: Message, signal: AbortSignal): Promise<Attempt | undefined> {
    return new Promise((resolve) => {
      const request = this.#request(this.#url, {
        method: "POST",
        agent: this.#agent,
        // Of the request: a connection made with other authorities is not used for it.
        ...(this.#authorities && { ca: this.#authorities.pem }),
        headers: { ...message.headers, "content-length": message.body.length },
      });
      const end = (result: Attempt | undefined) => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
        resolve(result);
      };
      const abort = () => {
        end(undefined);
        request.destroy();
      };
      const timer = setTimeout(() => {
        const detail = `no complete answer within ${this.#timeout} ms`;
        end({ answer: { kind: "timeout", detail } });
        request.destroy();
      }, this.#timeout);
      signal.addEventListener("abort", abort, { once: true });
      let answered = false;
      request.on("response", (response) => {
        answered = true;
        receive(response, this.#readsBody, (answer) => end({ answer }));
      });
      request.on("error", (error: NodeJS.ErrnoException) => {
        const stale = request.reusedSocket && !answered && staleCodes.has(error.code ?? "");
        const detail = this.#certificateFault(error) ?? describe(error);
        end({ answer: { kind: "network", detail }, stale });
      });
      request.end(message.body);
    });
  }
}

/** Of a chain that does not end at a trusted authority (OpenSSL's X509_V_ERR_…). */
const untrustedCodes = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_SIGNATURE_FAILURE",
]);

interface Attempt {
  readonly answer: Answer;
  readonly stale?: boolean;
}

const staleCodes = new Set(["ECONNRESET", "EPIPE"]);

/** Waits for the whole answer: a connection that breaks in the middle confirms nothing. */
function receive(
  response: IncomingMessage,
  readsBody: boolean,
  done: (answer: Answer) => void,
): void {
  const retryAfter = response.headers["retry-after"];
  const answer: Answer = {
    kind: "status",
    status: response.statusCode ?? 0,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
  const chunks: Buffer[] = [];
  const whole = () =>
    readsBody ? { ...answer, body: Buffer.concat(chunks).toString("utf8") } : answer;
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (readsBody) chunks.push(chunk);
    if (bytes <= (readsBody ? maxReadBytes : maxAnswerBytes)) return;
    done(whole());
    response.destroy();
  });
  response.on("end", () => done(whole()));
  response.on("error", (error) => done({ kind: "network", detail: describe(error) }));
  response.on("close", () => done({ kind: "network", detail: "the answer was cut off" }));
}

/** A failure of the network in words, without secrets. */
export function describe(error: NodeJS.ErrnoException): string {
  // Of several addresses tried, the first failure stands for all.
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  const cause = first instanceof Error ? first : error;
  return redactText(cause.message || error.code || "unknown error");
}
