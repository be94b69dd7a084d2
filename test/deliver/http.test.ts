import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { rootCertificates } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Poster } from "../../src/deliver/http.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { inTurn, peerThat, status } from "../helpers/peer.ts";

const message = {
  headers: { "content-type": "application/json", "x-id": "1" },
  body: Buffer.from('{"é":1}'),
};
const never = new AbortController().signal;

test("a message arrives with its headers and exact bytes, over one connection that is kept", async (t) => {
  await using peer = await peerThat(status(204));
  using poster = new Poster({ url: peer.url });
  for (let round = 0; round < 3; round += 1) {
    t.deepEqual(await poster.post(message, never), { kind: "status", status: 204 });
  }
  t.is(peer.connections(), 1);
  t.deepEqual(new Set(peer.received.map(({ body }) => body)), new Set(['{"é":1}']));
  t.is(peer.received[0]?.headers["x-id"], "1");
  t.is(peer.received[0]?.headers["content-length"], "8");
});

/** A proxy that forwards what it is asked to, and keeps the targets. */
async function startProxy() {
  const targets: string[] = [];
  const server = createHttpServer((request, response) => {
    targets.push(request.url ?? "");
    const { hostname, port, pathname } = new URL(request.url ?? "");
    const { method, headers } = request;
    const onward = httpRequest({ host: hostname, port, path: pathname, method, headers });
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  server.on("connect", (request, socket) => {
    targets.push(request.url ?? "");
    const [host = "", port] = (request.url ?? "").split(":");
    const onward = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      onward.pipe(socket).pipe(onward);
    });
    for (const one of [socket, onward]) one.on("error", () => undefined);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    targets,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test("a proxy that is configured forwards; one of the environment does not", async (t) => {
  await using proxy = await startProxy();
  await using peer = await peerThat(status(204));
  using poster = new Poster({ url: `${peer.url}/hook`, proxy: proxy.url });
  t.deepEqual(await poster.post(message, never), { kind: "status", status: 204 });
  t.deepEqual(proxy.targets, [`${peer.url}/hook`]);
  t.is(peer.received[0]?.body, '{"é":1}');
  process.env["HTTP_PROXY"] = "http://127.0.0.1:1";
  t.teardown(() => delete process.env["HTTP_PROXY"]);
  using direct = new Poster({ url: peer.url });
  t.deepEqual(await direct.post(message, never), { kind: "status", status: 204 });
});

test("an answer's text is read where a format asks for it, up to a bound", async (t) => {
  const long = "x".repeat(3 * 1024 * 1024);
  await using peer = await peerThat((response, index) => {
    response.writeHead(207).end(index === 0 ? "{}" : long);
  });
  using poster = new Poster({ url: peer.url, readsBody: true });
  t.deepEqual(await poster.post(message, never), { kind: "status", status: 207, body: "{}" });
  const answer = await poster.post(message, never);
  t.is(answer?.kind, "status");
  if (answer?.kind !== "status") return;
  t.true((answer.body?.length ?? 0) > 1024 * 1024);
  t.true((answer.body?.length ?? 0) < 1.5 * 1024 * 1024);
});

test("a redirect is an answer and is not followed", async (t) => {
  await using other = await peerThat(status(200));
  await using peer = await peerThat(status(307, { location: other.url }));
  using poster = new Poster({ url: peer.url });
  t.deepEqual(await poster.post(message, never), { kind: "status", status: 307 });
  t.is(other.received.length, 0);
});

test("Retry-After is passed on", async (t) => {
  await using peer = await peerThat(status(429, { "retry-after": "3" }));
  using poster = new Poster({ url: peer.url });
  t.deepEqual(await poster.post(message, never), { kind: "status", status: 429, retryAfter: "3" });
});

test("a receiver that is not there is a network answer", async (t) => {
  const gone = await peerThat(status(200));
  await gone[Symbol.asyncDispose]();
  using poster = new Poster({ url: gone.url });
  const answer = await poster.post(message, never);
  t.is(answer?.kind, "network");
  t.regex(answer?.kind === "network" ? answer.detail : "", /ECONNREFUSED/);
});

test("a 200 whose body is cut off confirms nothing", async (t) => {
  await using peer = await peerThat((response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => response.destroy());
  });
  using poster = new Poster({ url: peer.url });
  t.is((await poster.post(message, never))?.kind, "network");
});

test("a connection that is closed without an answer is a network answer", async (t) => {
  await using peer = await peerThat((response) => response.destroy());
  using poster = new Poster({ url: peer.url });
  t.is((await poster.post(message, never))?.kind, "network");
});

test("bytes that are not HTTP are a network answer", async (t) => {
  const server = createServer((socket) => socket.end("nonsense\r\n\r\n"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  using poster = new Poster({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` });
  t.is((await poster.post(message, never))?.kind, "network");
  server.close();
});

test("a receiver that never answers, and one that never ends its answer, run out of time", async (t) => {
  await using peer = await peerThat(
    inTurn(
      () => {},
      (response) => response.writeHead(200, { "content-length": "100" }).write("half"),
      status(200),
    ),
  );
  using poster = new Poster({ url: peer.url, timeout: 1000 });
  t.is((await poster.post(message, never))?.kind, "timeout");
  t.is((await poster.post(message, never))?.kind, "timeout");
  using patient = new Poster({ url: peer.url });
  t.is((await patient.post(message, never))?.kind, "status");
});

test("an endless answer is cut after its first 64 KiB, and its status counts", async (t) => {
  await using peer = await peerThat((response) => {
    response.writeHead(200);
    const more = () => response.writable && response.write(Buffer.alloc(16_384), more);
    more();
  });
  using poster = new Poster({ url: peer.url });
  t.deepEqual(await poster.post(message, never), { kind: "status", status: 200 });
});

test("a kept connection that the peer has closed is replaced at once, without a failure", async (t) => {
  // The peer closes the connection when it has read the second request on it, before it says anything.
  await using peer = await peerThat(
    inTurn(status(200), (response) => response.socket?.resetAndDestroy(), status(200)),
  );
  using poster = new Poster({ url: peer.url });
  t.is((await poster.post(message, never))?.kind, "status");
  t.is((await poster.post(message, never))?.kind, "status");
  t.is(peer.connections(), 2);
  t.is(peer.received.length, 3);
});

test("an aborted post ends at once and is no answer", async (t) => {
  await using peer = await peerThat(() => {});
  using poster = new Poster({ url: peer.url });
  const stop = new AbortController();
  const posting = poster.post(message, stop.signal);
  await peer.count(1);
  stop.abort();
  t.is(await posting, undefined);
  t.is(await poster.post(message, stop.signal), undefined);
  t.is(peer.received.length, 1);
});

needing(missingProgram("openssl"), "serial")(
  "TLS is accepted by the named authority and refused without it, whatever the environment says",
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), "fim-tls-"));
    t.teardown(() => rmSync(dir, { recursive: true }));
    const openssl = (...args: string[]) =>
      execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    const root = ["-x509", "-days", "2", "-subj", "/CN=lab CA"];
    openssl("req", ...curve, ...root, "-keyout", "ca.key", "-out", "ca.pem");
    openssl("req", ...curve, "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=receiver");
    writeFileSync(join(dir, "san"), "subjectAltName=IP:127.0.0.1\n");
    const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
    const signing = ["x509", "-req", "-in", "tls.csr", "-days", "2", "-extfile", "san"];
    openssl(...signing, ...authority, "-out", "tls.pem");
    const tls = {
      key: readFileSync(join(dir, "tls.key"), "utf8"),
      cert: readFileSync(join(dir, "tls.pem"), "utf8"),
    };
    await using peer = await peerThat(status(200), { tls });
    using trusting = new Poster({ url: peer.url, ca: join(dir, "ca.pem") });
    t.deepEqual(await trusting.post(message, never), { kind: "status", status: 200 });
    await using proxy = await startProxy();
    const { host } = new URL(peer.url);
    using through = new Poster({ url: peer.url, ca: join(dir, "ca.pem"), proxy: proxy.url });
    t.deepEqual(await through.post(message, never), { kind: "status", status: 200 });
    t.deepEqual(proxy.targets, [host], "a tunnel, whose bytes the proxy cannot read");
    process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0";
    t.teardown(() => delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]);
    using wary = new Poster({ url: peer.url });
    const answer = await wary.post(message, never);
    t.deepEqual(answer, {
      kind: "network",
      detail: "no trusted authority signed its certificate: name the authority with ca",
    });
    using pinning = new Poster({ url: peer.url, pinned: rootCertificates[0] ?? "" });
    t.deepEqual(await pinning.post(message, never), {
      kind: "network",
      detail:
        "its certificate is not the one in the join token: make a new token, or name its authority with ca",
    });
    t.is(peer.received.length, 2);
    t.throws(() => new Poster({ url: peer.url, ca: join(dir, "none.pem") }), {
      message: /none\.pem: cannot be read/,
    });
  },
);
