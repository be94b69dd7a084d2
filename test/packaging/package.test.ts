import test from "ava";
import { execFileSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../../src/node/version.ts";
import { missingProgram } from "../helpers/missing.ts";
import { needing } from "../helpers/needs.ts";

const home = join(import.meta.dirname, "../..");
const dir = mkdtempSync(join(tmpdir(), "fim-packages-"));
test.after.always(() => rmSync(dir, { recursive: true, force: true }));

/** As a service finds it: without this repository's Node on the path. */
const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

function versionOf(program: string): string {
  return execFileSync(program, ["--version"], { encoding: "utf8", env, cwd: "/" });
}

needing(missingProgram("dpkg-deb"), "serial")(
  "npm run package makes a Debian package and a tarball that bring their own Node",
  (t) => {
    t.timeout(300_000);
    const make = [join(home, "packaging/package.ts"), dir, "none"];
    const made = execFileSync(process.execPath, make, { encoding: "utf8" }).trim().split("\n");
    t.is(made.length, 2);
    const [deb = "", tarball = ""] = made;
    const root = join(dir, "root");
    execFileSync("dpkg-deb", ["--raw-extract", deb, root]);
    t.is(versionOf(join(root, "usr/bin/fim-agent")), `${version}\n`);
    t.is(versionOf(join(root, "usr/bin/fim-collector")), `${version}\n`);
    t.is(readFileSync(join(root, "DEBIAN/conffiles"), "utf8"), "/etc/fim-agent/config.yaml\n");
    const unit = readFileSync(join(root, "usr/lib/systemd/system/fim-agent.service"), "utf8");
    const [, started = ""] = /^ExecStart=(\S+)/m.exec(unit) ?? [];
    t.true(existsSync(join(root, started)));
    const prebuilt = globSync("**/*.node", { cwd: root });
    t.is(prebuilt.length, 2, prebuilt.join(" "));
    execFileSync("tar", ["-xzf", tarball, "-C", dir]);
    const [unpacked = ""] = globSync("fim-agent_*/bin/fim-agent", { cwd: dir });
    t.is(versionOf(join(dir, unpacked)), `${version}\n`);
  },
);
