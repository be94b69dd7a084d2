import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { freePort } from "./http.ts";
import { makePlace } from "./tree.ts";
import { until } from "./wait.ts";

/** One message as a real rsyslogd read it. */
interface Logged {
  readonly host: string;
  readonly app: string;
  readonly id: string;
  readonly priority: string;
  readonly time: string;
  readonly message: string;
}

export interface Rsyslog extends AsyncDisposable {
  readonly port: number;
  logged(): readonly Logged[];
  /** Ends it as `kill` does, and starts it again. */
  restart(): Promise<void>;
}

/** A real rsyslogd that listens on a port of 127.0.0.1 and writes each message as one line of JSON. */
export async function startRsyslog(): Promise<Rsyslog> {
  await using stack = new AsyncDisposableStack();
  const place = stack.use(makePlace());
  const port = await freePort();
  const log = place.at("log");
  writeFileSync(place.at("conf"), configOf(place.dir, port));
  let child = await run(place.at("conf"), place.at("pid"), port);
  stack.defer(async () => await end(child));
  const owned = stack.move();
  return {
    port,
    logged: () =>
      existsSync(log)
        ? readFileSync(log, "utf8")
            .split("\n")
            .slice(0, -1)
            .map((line) => JSON.parse(line) as Logged)
        : [],
    restart: async () => {
      await end(child);
      child = await run(place.at("conf"), place.at("pid"), port);
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

function configOf(dir: string, port: number): string {
  const members = ["host:hostname", "app:app-name", "id:msgid", "priority:pri", "message:msg"];
  const texts = members.map((member) => {
    const [name, property] = member.split(":");
    return `property(outname="${name}" name="${property}" format="jsonf")`;
  });
  return `global(workDirectory="${dir}")
module(load="imptcp")
input(type="imptcp" address="127.0.0.1" port="${port}")
template(name="line" type="list" option.jsonf="on") {
  ${texts.join("\n  ")}
  property(outname="time" name="timereported" dateFormat="rfc3339" format="jsonf")
}
action(type="omfile" file="${dir}/log" template="line")
`;
}

async function run(config: string, pid: string, port: number): Promise<ChildProcess> {
  const child = spawn("rsyslogd", ["-n", "-f", config, "-i", pid], { stdio: "ignore" });
  await until(async () => await answers(port), 20_000);
  return child;
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "exit");
  if (child.exitCode === null && child.kill()) await ended;
}

/** A listener that remembers its connections' bytes. */
export interface Listener extends AsyncDisposable {
  readonly port: number;
  readonly sockets: readonly Socket[];
  /** All bytes of all connections. */
  text(): string;
}

export async function startListener(
  tls?: { readonly key: string; readonly certificate: string },
  onSocket: (socket: Socket) => void = () => undefined,
): Promise<Listener> {
  const sockets: Socket[] = [];
  const chunks: Buffer[] = [];
  const take = (socket: Socket): void => {
    sockets.push(socket);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("error", () => socket.destroy());
    onSocket(socket);
  };
  const server: Server = tls
    ? createTlsServer({ key: tls.key, cert: tls.certificate }, take)
    : createServer(take);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    text: () => Buffer.concat(chunks).toString(),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The messages of frames that are counted in octets (RFC 6587 §3.4.1). */
export function readFrames(text: string): readonly string[] {
  const frames: string[] = [];
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    const space = bytes.indexOf(" ");
    const length = Number(bytes.toString("utf8", 0, space));
    const next = space + 1 + length;
    if (!/^[1-9]\d*$/.test(bytes.toString("utf8", 0, space)) || next > bytes.length)
      throw new Error("no whole frame");
    frames.push(bytes.toString("utf8", space + 1, next));
    bytes = bytes.subarray(next);
  }
  return frames;
}
