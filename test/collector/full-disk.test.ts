import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reporter, send } from "../helpers/collector.ts";
import { startCollectorProcess } from "../helpers/collector-process.ts";
import { mountMissing } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

needing(mountMissing())("a full disk: 503, and with space again nothing is missing", async (t) => {
  t.timeout(120_000);
  const dir = mkdtempSync(join(tmpdir(), "fim-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", dir]);
  t.teardown(() => {
    execFileSync("umount", ["-l", dir]);
    rmSync(dir, { recursive: true });
  });
  await using collector = await startCollectorProcess(dir);
  const reporter = new Reporter();
  const { stdout: token } = await collector.run("token", "--node", reporter.node);
  t.is((await reporter.enrolAt(collector.url, token)).status, 200);
  t.is((await send(collector, reporter.batch(3))).status, 200);
  const { bavail, bsize } = statfsSync(dir);
  writeFileSync(join(dir, "ballast"), Buffer.alloc(bavail * bsize));
  let confirmed = 3;
  let refused = "";
  while (refused === "") {
    const lines = reporter.batch(100);
    const { status, body } = await send(collector, lines);
    if (status === 200) confirmed += 100;
    else {
      t.is(status, 503);
      t.is(body["error"], "unavailable");
      refused = lines;
    }
  }
  t.is((await collector.alerts()).length, confirmed, "what was confirmed is there");
  rmSync(join(dir, "ballast"));
  t.is((await send(collector, refused)).status, 200);
  t.is((await send(collector, reporter.batch())).status, 200);
  t.is((await collector.alerts()).length, confirmed + 101);
  t.is(await collector.stop(), 0);
});
