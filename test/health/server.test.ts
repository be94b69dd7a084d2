import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import test from "ava";
import { HealthServer } from "../../src/health/server.ts";
import type { Health } from "../../src/health/server.ts";

const local = { host: "127.0.0.1", port: 0 };

function healthThat(overrides: Partial<Health> = {}): Health {
  return {
    sick: () => [],
    degraded: () => ["engine fanotify: not permitted"],
    unready: () => [],
    metrics: async () => ({ type: "text/plain; version=0.0.4", text: "fim_up 1\n" }),
    ...overrides,
  };
}

async function get(server: HealthServer, path: string, init: RequestInit = {}) {
  const { host, port } = server.address;
  const response = await fetch(`http://${host}:${port}${path}`, init);
  return {
    status: response.status,
    type: response.headers.get("content-type"),
    text: await response.text(),
  };
}

test("readiness is 503 with the reasons until there are none", async (t) => {
  let reasons = ["first sweep is not done", "engine fanotify has not proved itself"];
  await using server = await HealthServer.listen(local, healthThat({ unready: () => reasons }));
  const before = await get(server, "/readyz");
  t.is(before.status, 503);
  t.deepEqual(JSON.parse(before.text), { ready: false, reasons });
  reasons = [];
  const after = await get(server, "/readyz?verbose");
  t.is(after.status, 200);
  t.deepEqual(JSON.parse(after.text), { ready: true, reasons: [] });
});

test("health is 200 until something is wrong for good", async (t) => {
  let reasons: string[] = [];
  await using server = await HealthServer.listen(local, healthThat({ sick: () => reasons }));
  t.is((await get(server, "/healthz")).status, 200);
  reasons = ["the outbox cannot be written"];
  t.is((await get(server, "/healthz")).status, 503);
});

test("metrics come with the type that their maker names", async (t) => {
  await using server = await HealthServer.listen(local, healthThat());
  t.deepEqual(await get(server, "/metrics"), {
    status: 200,
    type: "text/plain; version=0.0.4",
    text: "fim_up 1\n",
  });
});

test("only GET is served, and only what is known", async (t) => {
  await using server = await HealthServer.listen(local, healthThat());
  t.is((await get(server, "/")).status, 404);
  t.is((await get(server, "/metrics/../etc/passwd")).status, 404);
  for (const method of ["POST", "PUT", "DELETE", "HEAD"]) {
    t.is((await get(server, "/healthz", { method })).status, 405, method);
  }
});

test("a port that is taken is refused with the address and a hint", async (t) => {
  await using server = await HealthServer.listen(local, healthThat());
  const { port } = server.address;
  const error = await t.throwsAsync(
    HealthServer.listen({ host: "127.0.0.1", port }, healthThat()),
    {
      code: "CONFIG_INVALID",
      message: `listen 127.0.0.1:${port}: another program listens there`,
    },
  );
  t.regex((error as { hint?: string }).hint ?? "", /--listen/);
});

test.serial("a client whose request came while the agent was busy is answered", async (t) => {
  await using server = await HealthServer.listen(local, healthThat());
  const client = spawn(process.execPath, ["-e", patientClient, String(server.address.port)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(client.stdout, "data");
  await get(server, "/healthz"); // By now the connection of the client before it is accepted.
  client.stdin.write("send");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 6000);
  t.regex(await text(client.stdout), /^HTTP\/1\.1 200 /);
});

/** Connects, says so, and sends its request on a line from its standard input. */
const patientClient = `
const socket = require("node:net").connect(Number(process.argv[1]), "127.0.0.1");
socket.once("connect", () => process.stdout.write("connected"));
process.stdin.once("data", () => socket.write("GET /healthz HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n"));
socket.pipe(process.stdout);
socket.once("close", () => process.exit());
socket.once("error", (error) => console.error(error));
`;

test("a client that dribbles its request is cut off", async (t) => {
  await using server = await HealthServer.listen(local, healthThat());
  const socket = connect(server.address.port, "127.0.0.1");
  const dribble = setInterval(() => socket.write("x"), 100);
  socket.write("GET /healthz HTTP/1.1\r\nx: ");
  socket.resume().on("error", () => undefined);
  await once(socket, "close");
  clearInterval(dribble);
  t.is(socket.bytesRead, 0);
});

test("closing ends a request that hangs and a connection that says nothing", async (t) => {
  const asked = Promise.withResolvers<void>();
  const hanging = () => {
    asked.resolve();
    return new Promise<never>(() => {});
  };
  const server = await HealthServer.listen(local, healthThat({ metrics: hanging }));
  const silent = connect(server.address.port, "127.0.0.1");
  await once(silent, "connect");
  const request = get(server, "/metrics");
  const failed = t.throwsAsync(request);
  await asked.promise;
  silent.on("error", () => {});
  const ended = once(silent, "close");
  silent.resume();
  await server.close();
  await Promise.all([failed, ended]);
  await server.close();
  t.pass();
});

test("a crowd that says nothing does not keep a probe out", async (t) => {
  await using server = await HealthServer.listen(local, healthThat());
  const crowd = Array.from({ length: 80 }, () =>
    connect(server.address.port, "127.0.0.1").on("error", () => {}),
  );
  try {
    await Promise.all(crowd.map((one) => once(one, "connect")));
    t.is((await get(server, "/healthz", { signal: AbortSignal.timeout(60_000) })).status, 200);
  } finally {
    for (const one of crowd) one.destroy();
  }
});

test("clients that pipeline requests and never read cost one answer each, and delay no probe", async (t) => {
  let made = 0;
  const metrics = async () => {
    made += 1;
    return { type: "text/plain", text: "x".repeat(1 << 16) };
  };
  await using server = await HealthServer.listen(local, healthThat({ metrics }));
  const many = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1000);
  const crowd = Array.from({ length: 60 }, () =>
    connect(server.address.port, "127.0.0.1").on("error", () => {}),
  );
  const before = process.memoryUsage().rss;
  try {
    const ended = crowd.map((one) => once(one, "close"));
    for (const one of crowd) one.pause().write(many);
    t.is((await get(server, "/healthz", { signal: AbortSignal.timeout(60_000) })).status, 200);
    for (const one of crowd) one.resume();
    await Promise.all(ended);
    t.true(made < 60, `${made} texts were made`);
    t.true(process.memoryUsage().rss - before < 200 * 2 ** 20);
  } finally {
    for (const one of crowd) one.destroy();
  }
});

test("a connection is closed after its answer", async (t) => {
  await using server = await HealthServer.listen(local, healthThat());
  const one = connect(server.address.port, "127.0.0.1");
  const ended = once(one, "close");
  one.resume().write("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
  await ended;
  t.pass();
});
