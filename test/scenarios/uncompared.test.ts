import test from "ava";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runAgent } from "../helpers/agent.ts";
import { cannotConfine, without } from "../helpers/confined.ts";
import { makePlace } from "../helpers/tree.ts";

const launcher = join(import.meta.dirname, "../../bin/fim-agent");
const missing = cannotConfine(["CAP_DAC_READ_SEARCH", "CAP_SETPCAP"]);
const confined = missing === undefined ? test : test.skip;

confined(
  "a check is incomplete where a file could not be read when it was approved, until it is accepted",
  async (t) => {
    using place = makePlace();
    const secret = place.at("/node/etc/secret");
    mkdirSync(place.at("/node/etc"), { recursive: true });
    writeFileSync(secret, "first");
    chmodSync(secret, 0o600);
    chownSync(secret, 65_534, 65_534);
    const options = ["--root", place.at("/node"), "--state", place.at("/state")];
    const [setpriv = "", ...rest] = without("CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH");
    const { status } = spawnSync(setpriv, [...rest, launcher, "baseline", ...options]);
    t.is(status, 4);
    const run = (...args: readonly string[]) => runAgent([...args, ...options]);
    const check = await run("check");
    t.is(check.code, 4, check.stderr);
    t.is(check.stdout, "");
    t.regex(check.stderr, /incomplete: 1 could not be compared[^]*\n {2}\/etc\/secret: EACCES\n/);
    t.regex(check.stderr, /\nhint: .*accept/);
    t.is((await run("accept", "/etc/secret", "--reason", "it was looked at")).code, 0);
    t.is((await run("check")).code, 0);
  },
);
