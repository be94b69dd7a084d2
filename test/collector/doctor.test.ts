import test from "ava";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { examine } from "../../src/collector/doctor.ts";
import { collectorSettings } from "../../src/collector/settings.ts";
import { Reporter, send, startCollector } from "../helpers/collector.ts";

test("doctor finds nothing wrong before the first start, and makes nothing", async (t) => {
  const state = join(tmpdir(), "fim-doctor-none");
  const checks = await examine(collectorSettings({ state }, {}), Date.now());
  t.deepEqual(
    checks.map(({ verdict, what }) => `${verdict} ${what}`),
    ["fine key", "fine tls", "fine disk", "fine store"],
  );
});

test("doctor names who may log in, a clock that went back and a store that is away", async (t) => {
  const state = mkdtempSync(join(tmpdir(), "fim-doctor-"));
  const verdicts = async (given: object, now = Date.now()): Promise<readonly string[]> =>
    (await examine(collectorSettings({ state, ...given }, {}), now)).map(
      ({ verdict, what, found }) => `${verdict} ${what}: ${found}`,
    );
  {
    await using serving = await startCollector({ state });
    const reporter = new Reporter();
    await reporter.enrol(serving);
    await send(serving, reporter.batch());
    const found = await verdicts({});
    t.true(found.includes("fine users: may log in or read the API: tester"), found.join("\n"));
    t.regex(found.join("\n"), /fine store: .* 1 records in the log, 1 nodes/);
    t.regex((await verdicts({}, Date.now() - 3_600_000)).join("\n"), /failure clock: /);
  }
  const away = await verdicts({ store: "postgres://fim:secret@127.0.0.1:1/fim" });
  t.regex(
    away.join("\n"),
    /failure store: database postgres:\/\/fim@127.0.0.1:1\/fim: not available/,
  );
  t.regex((await verdicts({ listen: "0.0.0.0:8686" })).join("\n"), /warning tls: no certificate/);
  rmSync(state, { recursive: true });
});
