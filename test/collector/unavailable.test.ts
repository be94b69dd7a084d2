import test from "ava";
import Database from "better-sqlite3";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../src/collector/collector.ts";
import { IntegrityError } from "../../src/core/error.ts";
import { Reporter, send, startCollector } from "../helpers/collector.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";
import { postgresMissing, startPostgres } from "../helpers/postgres.ts";

const postgresTest = needing(postgresMissing);

postgresTest(
  "while PostgreSQL is away the answer is 503, and afterwards all is stored",
  async (t) => {
    await using server = await startPostgres();
    await using serving = await startCollector({ store: await server.createSchema() });
    const reporter = new Reporter();
    t.is((await reporter.enrol(serving)).status, 200);
    server.stop();
    const lines = reporter.batch(2);
    const headers = { "content-type": "application/x-ndjson" };
    const refused = await fetch(`${serving.url}/v1/batches`, {
      method: "POST",
      headers,
      body: lines,
    });
    t.is(refused.status, 503);
    t.regex(refused.headers.get("retry-after") ?? "", /^[2-5]$/);
    t.like(await refused.json(), { error: "unavailable" });
    t.is((await fetch(`${serving.url}/readyz`)).status, 503);
    server.start();
    t.is((await send(serving, lines)).status, 200);
    t.is((await serving.types()).length, 2);
    server.restart();
    t.is(
      (await send(serving, reporter.batch())).status,
      200,
      "connections that were lost are replaced",
    );
  },
);

needing(postgresMissing ?? missingProgram("openssl"))(
  "TLS to PostgreSQL: by a trusted certificate, by name and address; no other",
  async (t) => {
    await using server = await startPostgres();
    const address = await server.createSchema();
    const trusted = `sslmode=verify-full&sslrootcert=${server.secure()}&`;
    for (const store of [address, address.replace("127.0.0.1", "localhost")]) {
      await using opened = await openStore({
        store: store.replace("?", `?${trusted}`),
        state: "/nowhere",
      });
      t.deepEqual(await opened.nodes(), []);
    }
    const untrusted = address.replace("?", "?sslmode=verify-full&");
    await t.throwsAsync(openStore({ store: untrusted, state: "/nowhere" }), {
      message: /self-signed certificate/,
    });
  },
);

postgresTest("no message holds the password of the store", async (t) => {
  await using server = await startPostgres();
  const address = (await server.createSchema()).replace(/\?.*/, "");
  const wrong = [
    address.replace(/postgres$/, "none"),
    address.replace(/:\d+\//, ":1/"),
    address.replace("//fim:", "//fim:%zz"),
    address.replace("postgres:", "mysql:"),
    address.replace(/\/postgres$/, ""),
    `${address}?sslrootcert=/none`,
  ];
  for (const store of wrong) {
    const error = await t.throwsAsync(openStore({ store, state: "/nowhere" }), {
      instanceOf: IntegrityError,
    });
    t.notRegex(`${error?.message} ${error?.hint}`, /secret/, store);
  }
});

postgresTest("a server that loses commits at a power failure is refused", async (t) => {
  await using server = await startPostgres();
  const address = await server.createSchema();
  await t.throwsAsync(openStore({ store: `${address}&synchronous_commit=off`, state: "" }), {
    message: /synchronous_commit is off$/,
  });
});

test("while another process writes to the database, the collector waits and answers others", async (t) => {
  const state = mkdtempSync(join(tmpdir(), "fim-busy-"));
  await using serving = await startCollector({ state });
  const reporter = new Reporter();
  await reporter.enrol(serving);
  const other = new Database(join(state, "collector.db"));
  try {
    other.exec("BEGIN IMMEDIATE");
    const sending = send(serving, reporter.batch());
    t.is((await fetch(`${serving.url}/healthz`)).status, 200);
    other.exec("ROLLBACK");
    t.is((await sending).status, 200);
  } finally {
    other.close();
    rmSync(state, { recursive: true });
  }
});
