import test from "ava";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cannotConfine, without } from "../helpers/confined.ts";
import { makePlace } from "../helpers/tree.ts";

const launcher = join(import.meta.dirname, "../../bin/fim-agent");
const missing = cannotConfine(["CAP_DAC_READ_SEARCH", "CAP_SETPCAP"]);
const confined = missing === undefined ? test : test.skip;

confined("an audit that found something lists all the same what it could not read", (t) => {
  using place = makePlace();
  const directory = place.at("/node/etc/ssh");
  mkdirSync(directory, { recursive: true });
  writeFileSync(place.at("/node/etc/shadow"), "root:*:19000:0:99999:7:::\n");
  chmodSync(place.at("/node/etc/shadow"), 0o666);
  chmodSync(directory, 0o700);
  chownSync(directory, 65_534, 65_534);
  const [setpriv = "", ...rest] = without("CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH");
  const args = ["audit", "--root", place.at("/node"), "--state", place.at("/state")];
  const { status, stdout, stderr } = spawnSync(setpriv, [...rest, launcher, ...args], {
    encoding: "utf8",
  });
  t.is(status, 1);
  t.regex(stdout, /\/etc\/shadow +mode +0666, expected 0640 .* fix: chmod 0640 \/etc\/shadow\n/);
  t.regex(stderr, /incomplete: 1 could not be read\n {2}\/etc\/ssh: EACCES\n/);
});
