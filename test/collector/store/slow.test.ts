import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import postgres from "postgres";
import { openPostgresStore } from "../../../src/collector/store/postgres/store.ts";
import { Reporter, send, startCollector } from "../../helpers/collector.ts";
import { needing } from "../../helpers/needs.ts";
import { postgresMissing } from "../../helpers/postgres.ts";
import { postgresSchema } from "../../helpers/stores.ts";

test("a search whose time is over says how to narrow it, and others are answered", async (t) => {
  const state = mkdtempSync(join(tmpdir(), "fim-slow-"));
  {
    await using serving = await startCollector({ state, searchLimit: -1 });
    const reporter = new Reporter();
    await reporter.enrol(serving);
    await send(serving, reporter.batch(3));
    const { status, body } = await serving.read("/v1/alerts?node=cp-1");
    t.is(status, 422);
    t.is(body["error"], "too slow");
    t.regex(String(body["reason"]), /name a node, a rule or a shorter time/);
    t.is((await serving.read("/v1/alerts")).status, 200);
  }
  rmSync(state, { recursive: true });
});

needing(postgresMissing)(
  "a search that PostgreSQL holds up ends when its time is over",
  async (t) => {
    const address = await postgresSchema();
    await using store = await openPostgresStore(address, 50);
    const sql = postgres(address, { max: 1 });
    await sql.begin(async (tx) => {
      await tx`LOCK TABLE alert IN ACCESS EXCLUSIVE MODE`;
      await t.throwsAsync(store.alerts({ rule: "any", limit: 10 }), { code: "SEARCH_SLOW" });
    });
    t.deepEqual(await store.alerts({ rule: "any", limit: 10 }), []);
    await sql.end();
  },
);
