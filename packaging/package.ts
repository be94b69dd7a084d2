import { execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { version } from "../src/node/version.ts";
import { datedAs } from "./dates.ts";
import { copyProgram, home } from "./program.ts";
import { makeSbom } from "./sbom.ts";

/*
 * `npm run package [-- DIRECTORY [COMPRESSION]]`: a Debian package and a tarball with their own Node, for this
 * machine's architecture. The date of every file is SOURCE_DATE_EPOCH, by default that of the last commit.
 */

const [directory = join(home, "packages"), compression = "xz"] = process.argv.slice(2);
const at = Number(process.env["SOURCE_DATE_EPOCH"] ?? commitDate());
const architecture = process.arch === "x64" ? "amd64" : process.arch;
const name = `fim-agent_${version}_${architecture}`;

mkdirSync(directory, { recursive: true });
const stage = mkdtempSync(join(tmpdir(), "fim-package-"));
try {
  makeDebian(join(stage, "deb"));
  makeTarball(join(stage, "tar"));
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function makeDebian(root: string): void {
  copyWithNode(join(root, "usr/lib/fim-agent"));
  for (const program of ["fim-agent", "fim-collector"])
    link(`../lib/fim-agent/bin/${program}`, join(root, "usr/bin", program));
  const unit = readFileSync(join(home, "deploy/systemd/fim-agent.service"), "utf8");
  put(
    join(root, "usr/lib/systemd/system/fim-agent.service"),
    unit.replaceAll("/usr/local/bin/", "/usr/bin/"),
  );
  cpSync(join(home, "packaging/debian/config.yaml"), join(root, "etc/fim-agent/config.yaml"));
  const doc = join(root, "usr/share/doc/fim-agent");
  put(join(doc, "copyright"), readFileSync(join(home, "LICENSE"), "utf8"));
  put(join(doc, "sbom.cdx.json"), makeSbom(at));
  cpSync(join(home, "docs"), doc, { recursive: true });
  for (const script of ["conffiles", "postinst", "prerm", "postrm"])
    cpSync(join(home, "packaging/debian", script), join(root, "DEBIAN", script));
  const control = readFileSync(join(home, "packaging/debian/control"), "utf8");
  put(
    join(root, "DEBIAN/control"),
    control.replace("@VERSION@", version).replace("@ARCHITECTURE@", architecture),
  );
  datedAs(root, at, ["DEBIAN/postinst", "DEBIAN/prerm", "DEBIAN/postrm"]);
  const options = ["--root-owner-group", `-Z${compression}`, "--build", root];
  const file = join(directory, `${name}.deb`);
  execFileSync("dpkg-deb", [...options, file], {
    stdio: "ignore",
    env: { ...process.env, SOURCE_DATE_EPOCH: String(at) },
  });
  process.stdout.write(`${file}\n`);
}

function makeTarball(dir: string): void {
  const root = join(dir, name);
  copyWithNode(root);
  for (const part of ["deploy", "docs", "README.md", "SECURITY.md"])
    cpSync(join(home, part), join(root, part), { recursive: true });
  put(join(root, "sbom.cdx.json"), makeSbom(at));
  datedAs(root, at, []);
  const file = join(directory, `${name}.tar.gz`);
  const options = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=@${at}`];
  execFileSync("tar", [
    ...options,
    `--use-compress-program=gzip -n ${compression === "none" ? "-1" : "-9"}`,
    "-C",
    dir,
    "-cf",
    file,
    name,
  ]);
  process.stdout.write(`${file}\n`);
}

/** Node lies where bin/launch.sh looks for it first. */
function copyWithNode(target: string): void {
  copyProgram(target);
  const node = join(target, "node_modules/node/bin/node");
  mkdirSync(dirname(node), { recursive: true });
  cpSync(process.execPath, node);
}

function commitDate(): string {
  return execFileSync("git", ["log", "-1", "--format=%ct"], { cwd: home, encoding: "utf8" }).trim();
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path);
}

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
