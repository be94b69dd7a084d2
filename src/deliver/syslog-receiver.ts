import { once } from "node:events";
import { connect, isIP } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Answer } from "../core/backoff.ts";
import type { Leased } from "../core/record/queued.ts";
import type { Receiver } from "./deliver.ts";
import { syslogFrame } from "./formats/syslog.ts";
import { Authorities } from "./authorities.ts";
import { describe } from "./http.ts";
import { Notices } from "./notices.ts";
import type { SinkSettings } from "./sink.ts";

interface Context {
  /** Milliseconds from connecting until the socket has taken everything. */
  readonly timeout?: number;
}

const defaultTimeout = 15_000;
/** RFC 6587 §3.1 names none; 601 is that of RFC 3195. RFC 5425 §4.1: 6514. */
const ports = { "tcp:": 601, "tls:": 6514 } as const;

/**
 * Writes records to one kept connection. Syslog confirms nothing: what the socket took counts as delivered, and a
 * receiver that ends just then has lost it.
 */
export class SyslogReceiver implements Receiver, Disposable {
  readonly maxPerPost = 256;
  readonly #open: () => Socket;
  readonly #timeout: number;
  readonly #notices: Notices;
  #socket: Socket | undefined;

  constructor(settings: SinkSettings, { timeout = defaultTimeout }: Context) {
    this.#open = opener(settings);
    this.#timeout = timeout;
    this.#notices = new Notices(settings, false);
  }

  wants(record: Leased): boolean {
    return this.#notices.wants(record);
  }

  async post(records: readonly Leased[], signal: AbortSignal): Promise<Answer | undefined> {
    const frames = this.#notices
      .of(records)
      .map((notice) => syslogFrame(notice, this.#notices.link(notice)));
    const ends = AbortSignal.any([signal, AbortSignal.timeout(this.#timeout)]);
    try {
      const socket = await this.#connected(ends);
      await written(socket, Buffer.concat(frames), ends);
      return { kind: "sent" };
    } catch (error) {
      // A frame that was cut would shift all that follow.
      this.#drop();
      if (signal.aborted) return undefined;
      if (ends.aborted) return { kind: "timeout", detail: `not taken within ${this.#timeout} ms` };
      return { kind: "network", detail: describe(error as NodeJS.ErrnoException) };
    }
  }

  [Symbol.dispose](): void {
    this.#drop();
  }

  async #connected(signal: AbortSignal): Promise<Socket> {
    if (this.#socket?.writable) return this.#socket;
    this.#drop();
    const socket = this.#open();
    this.#socket = socket;
    // The receiver says nothing; a connection that it ends must not take another record.
    socket.resume();
    socket.on("end", () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.setKeepAlive(true, defaultTimeout);
    await once(socket, "encrypted" in socket ? "secureConnect" : "connect", { signal });
    return socket;
  }

  #drop(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }
}

function opener({ url, ca }: SinkSettings): () => Socket {
  const { protocol, hostname, port } = new URL(url);
  const host = hostname.replaceAll(/^\[|\]$/g, "");
  if (protocol !== "tls:")
    return () => connect({ host, port: Number(port || ports["tcp:"]), noDelay: true });
  const options = {
    host,
    port: Number(port || ports["tls:"]),
    // Explicit, so that NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment has no effect.
    rejectUnauthorized: true,
    ...(isIP(host) === 0 && { servername: host }),
  };
  const authorities = ca === undefined ? undefined : new Authorities(ca);
  return () => connectTls({ ...options, ...(authorities && { ca: authorities.pem }) });
}

/** Ends when the system has taken all bytes. */
async function written(socket: Socket, bytes: Buffer, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = () => reject(signal.reason as Error);
  const closed = () => reject(new Error("the receiver ended the connection"));
  signal.addEventListener("abort", fail, { once: true });
  socket.once("close", closed);
  socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", fail);
    socket.off("close", closed);
  }
}
