import test from "ava";
import { spawn } from "node:child_process";
import { mkdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { runAgent } from "../helpers/agent.ts";
import { makePlace } from "../helpers/tree.ts";
import { until } from "../helpers/wait.ts";

test("a file that is written all the time while it is read makes a baseline and a check incomplete", async (t) => {
  using place = makePlace();
  const file = place.at("/node/etc/restless");
  mkdirSync(place.at("/node/etc"), { recursive: true });
  writeFileSync(file, "");
  truncateSync(file, 256 * 2 ** 20);
  const { mtimeNs } = statSync(file, { bigint: true });
  const writer = spawn("sh", ["-c", 'while :; do printf x 1<>"$0"; done', file]);
  try {
    await until(() => statSync(file, { bigint: true }).mtimeNs !== mtimeNs, 20_000);
    const options = ["--root", place.at("/node"), "--state", place.at("/state")];
    for (const command of ["baseline", "check"]) {
      const { code, stdout, stderr } = await runAgent([command, ...options]);
      // What the check found to have changed meanwhile is said first.
      const hasDrift = command === "check" && stdout !== "";
      t.is(code, hasDrift ? 1 : 4, stderr);
      t.regex(stderr, /incomplete: 1 could not be read\n {2}\/etc\/restless: changes while/);
    }
  } finally {
    writer.kill("SIGKILL");
  }
});
