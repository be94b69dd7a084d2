import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";

/** A way to a server that can be cut, and mended, at one address. */
export interface Way extends AsyncDisposable {
  readonly url: string;
  cut(): Promise<void>;
  mend(): Promise<void>;
}

export async function wayTo(url: string): Promise<Way> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let server = await listen(0);
  const own = (server.address() as AddressInfo).port;

  async function listen(at: number): Promise<Server> {
    const made = createServer((client) => {
      const target = connect(Number(port), hostname);
      for (const one of [client, target]) {
        sockets.add(one);
        one.on("error", () => one.destroy());
        one.on("close", () => sockets.delete(one));
      }
      client.pipe(target).pipe(client);
    });
    made.listen(at, "127.0.0.1");
    await once(made, "listening");
    return made;
  }

  const cut = async (): Promise<void> => {
    const closed = once(server, "close");
    server.close();
    for (const one of sockets) one.destroy();
    await closed;
  };
  return {
    url: `http://127.0.0.1:${own}`,
    cut,
    mend: async () => {
      server = await listen(own);
    },
    [Symbol.asyncDispose]: async () => {
      if (server.listening) await cut();
    },
  };
}
