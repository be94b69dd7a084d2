import test from "ava";
import { execFileSync } from "node:child_process";
import { existsSync, globSync, lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
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

/** What a package puts beside the programs. */
const installed = [
  "etc/fim-agent/config.yaml",
  "etc/fim-collector/environment",
  "usr/bin/fim-collector",
  "usr/lib/systemd/system/fim-collector.service",
  "usr/lib/sysusers.d/fim-agent.conf",
  "usr/share/man/man8/fim-agent.8.gz",
  "usr/share/man/man8/fim-collector.8.gz",
  "usr/share/bash-completion/completions/fim-agent",
  "usr/share/zsh/vendor-completions/_fim-agent",
  "usr/share/fish/vendor_completions.d/fim-collector.fish",
  "usr/share/doc/fim-agent/sbom.cdx.json",
];

needing(missingProgram("dpkg-deb", "rpmbuild"), "serial")(
  "npm run package makes .deb, .rpm and a tarball that bring their own Node",
  (t) => {
    t.timeout(300_000);
    const make = [join(home, "packaging/package.ts"), dir, "none"];
    const made = execFileSync(process.execPath, make, { encoding: "utf8" }).trim().split("\n");
    t.is(made.length, 3);
    const [tarball = "", rpm = "", deb = ""] = made;
    const root = join(dir, "root");
    execFileSync("dpkg-deb", ["--raw-extract", deb, root]);
    t.is(versionOf(join(root, "usr/bin/fim-agent")), `${version}\n`);
    t.is(versionOf(join(root, "usr/bin/fim-collector")), `${version}\n`);
    for (const path of installed) t.true(existsSync(join(root, path)), path);
    const conffiles = readFileSync(join(root, "DEBIAN/conffiles"), "utf8").trim().split("\n");
    t.deepEqual(
      conffiles,
      globSync("etc/*/*", { cwd: root })
        .map((path) => `/${path}`)
        .toSorted(),
    );
    for (const name of ["fim-agent", "fim-collector"]) {
      const unit = readFileSync(join(root, `usr/lib/systemd/system/${name}.service`), "utf8");
      const [, started = ""] = /^ExecStart=(\S+)/m.exec(unit) ?? [];
      t.true(existsSync(join(root, started)), name);
    }
    const prebuilt = globSync("**/*.node", { cwd: root });
    t.is(prebuilt.length, 2, prebuilt.join(" "));
    const listed = execFileSync("rpm", ["-qpl", rpm], { encoding: "utf8" }).trim().split("\n");
    const inDebian = globSync("{etc,usr}/**", { cwd: root }).filter(
      (path) => !lstatSync(join(root, path)).isDirectory(),
    );
    t.true(inDebian.length > 500);
    const missing = inDebian.filter((path) => !listed.includes(`/${path}`));
    t.deepEqual(missing, []);
    // The same tree, so that it need not be unpacked.
    const packed = execFileSync("tar", ["-tzf", tarball], { encoding: "utf8" }).split("\n");
    for (const path of [
      "bin/fim-agent",
      "node_modules/node/bin/node",
      "share/man/man8/fim-agent.8.gz",
    ])
      t.true(packed.includes(`${basename(tarball, ".tar.gz")}/${path}`), path);
  },
);
