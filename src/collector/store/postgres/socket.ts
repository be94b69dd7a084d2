import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";

/** What the library knows of the servers: hosts with their ports, or the path of a socket. */
interface Servers {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

/** Milliseconds. */
const patience = 10_000;

/**
 * A connection to the first server that answers, without Nagle's algorithm: the library's own wait 40 ms for the
 * acknowledgement of one small message before the next (RFC 896, RFC 1122 §4.2.3.2), twice in each transaction with
 * COPY.
 */
export async function openSocket({ host, port, path }: Servers): Promise<Socket> {
  const targets = path
    ? [{ path }]
    : host.map((one, at) => ({ host: one, port: port[at] ?? 5432 }));
  let failure: unknown;
  for (const target of targets) {
    const socket = connect({ ...target, noDelay: true });
    try {
      await once(socket, "connect", { signal: AbortSignal.timeout(patience) });
      // The library reads the host here, for the name in the server's certificate.
      return Object.assign(socket, target);
    } catch (error) {
      socket.destroy();
      failure = error;
    }
  }
  throw isTimeout(failure) ? Object.assign(new Error("connect timeout"), timedOut) : failure;
}

const timedOut = { code: "CONNECT_TIMEOUT" } as const;

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
