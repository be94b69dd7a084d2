import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../src/collector/collector.ts";
import { Reporter } from "../helpers/collector.ts";
import { startCollectorProcess } from "../helpers/collector-process.ts";
import type { CollectorProcess } from "../helpers/collector-process.ts";
import { needing } from "../helpers/needs.ts";
import { postgresMissing, startPostgres } from "../helpers/postgres.ts";
import { seeded } from "../helpers/seeded.ts";
import { post } from "../helpers/http.ts";

const batches = 25;
const perBatch = 3;
/** Acknowledged batches after which a collector is killed. */
const killEvery = 15;

/** Sends a batch until a collector has confirmed it. What was sent may have been stored without an answer. */
async function deliver(
  lines: string,
  choose: () => CollectorProcess,
): Promise<Readonly<Record<string, unknown>>> {
  for (;;) {
    const headers = { "content-type": "application/x-ndjson" };
    const reply = await post(`${choose().url}/v1/batches`, lines, headers).catch(() => undefined);
    if (reply?.status === 200) return JSON.parse(reply.body) as Record<string, unknown>;
    if (reply && reply.status < 500) throw new Error(`${reply.status} ${reply.body}`);
  }
}

async function kill(victim: CollectorProcess): Promise<void> {
  await victim.kill9();
  await victim.start();
}

needing(postgresMissing)(
  "two collectors on one database, each killed at random, store every confirmed record once",
  async (t) => {
    t.timeout(180_000);
    const dir = mkdtempSync(join(tmpdir(), "fim-two-"));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    await using server = await startPostgres();
    const store = await server.createSchema();
    const args = ["--store", store, "--name", "pair"];
    const random = seeded(11);
    await using one = await startCollectorProcess(join(dir, "one"), { args });
    // They share the key, as docs/collector.md says.
    cpSync(join(dir, "one/agent.key"), join(dir, "two/agent.key"));
    await using two = await startCollectorProcess(join(dir, "two"), { args });
    const reporters = Array.from({ length: 6 }, (_, at) => new Reporter(`cp-${at}`));
    for (const reporter of reporters) {
      const token = await one.run("token", "--node", reporter.node, ...args);
      t.is((await reporter.enrolAt(two.url, token.stdout)).status, 200);
    }

    const choose = (): CollectorProcess => (random() < 0.5 ? one : two);
    let confirmed = 0;
    let killing: Promise<void> = Promise.resolve();
    await Promise.all(
      reporters.map(async (reporter) => {
        for (let sent = 0; sent < batches; sent += 1) {
          const { ack } = await deliver(reporter.batch(perBatch), choose);
          t.is(ack, (sent + 1) * perBatch);
          confirmed += 1;
          if (confirmed % killEvery === 0) killing = killing.then(async () => await kill(choose()));
        }
      }),
    );
    await killing;

    await using opened = await openStore({ store, state: "/nowhere" });
    const alerts = await opened.alerts({ limit: 1000 });
    t.is(alerts.length, reporters.length * batches * perBatch);
    t.is(new Set(alerts.map(({ uid }) => uid)).size, alerts.length);
    t.true(
      alerts.every(({ type }) => type === "fim.alert.modified"),
      "no alarm",
    );
    const heads = await opened.transact(
      async (tx) => await Promise.all(reporters.map(async ({ chain }) => await tx.chain(chain))),
    );
    t.deepEqual(
      heads.map((chain) => chain?.head),
      reporters.map(({ head }) => head),
    );
    const exported = await one.run("export", ...args);
    t.is(exported.code, 0);
    writeFileSync(join(dir, "evidence"), `${exported.stdout}\n`);
    const verified = await one.run("verify", join(dir, "evidence"));
    t.is(verified.code, 0, verified.stdout);
  },
);
