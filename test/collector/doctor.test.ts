import test from "ava";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownCertificate } from "../../src/collector/certificate.ts";
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
  const listen = "0.0.0.0:8686";
  t.true((await verdicts({ listen, plainHttp: true })).includes("fine tls: none, on 0.0.0.0"));
  const first = await verdicts({ listen });
  t.true(first.includes("fine tls: no certificate yet: the first start makes one"));
  await ownCertificate(state, Date.now());
  t.regex((await verdicts({ listen })).join("\n"), /fine tls: CN=fim-collector until \d{4}-/);
  rmSync(state, { recursive: true });
});
