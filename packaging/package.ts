import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { version } from "../src/node/version.ts";
import { datedAs } from "./dates.ts";
import { home } from "./program.ts";
import { makeShare, makeTree, put } from "./tree.ts";

/*
 * `npm run package [-- DIRECTORY [COMPRESSION]]`: a Debian package, an RPM package and a tarball with their own Node,
 * for this machine's architecture. COMPRESSION is "xz" or "none". The date of every file is SOURCE_DATE_EPOCH, by
 * default that of the last commit.
 */

const [directory = join(home, "packages"), compression = "xz"] = process.argv.slice(2);
const at = Number(process.env["SOURCE_DATE_EPOCH"] ?? commitDate());
const env = { ...process.env, SOURCE_DATE_EPOCH: String(at) };
const debianArchitecture = process.arch === "x64" ? "amd64" : process.arch;
const rpmArchitecture = process.arch === "x64" ? "x86_64" : "aarch64";
const libraries = "/usr/lib/fim-agent/";
const name = `fim-agent_${version}_${debianArchitecture}`;

mkdirSync(directory, { recursive: true });
const stage = mkdtempSync(join(tmpdir(), "fim-package-"));
try {
  const tree = join(stage, "tree");
  await makeTree(tree, at);
  datedAs(tree, at, []);
  makeTarball(tree);
  makeRpm(tree);
  makeDebian(tree);
} finally {
  rmSync(stage, { recursive: true, force: true });
}

function makeTarball(tree: string): void {
  const root = join(stage, name);
  // Links in place of copies: Node alone has 120 MB.
  execFileSync("cp", ["-al", join(tree, "usr/lib/fim-agent"), root]);
  for (const part of ["deploy", "docs", "README.md", "SECURITY.md"])
    cpSync(join(home, part), join(root, part), { recursive: true });
  cpSync(join(tree, "usr/share/doc/fim-agent/sbom.cdx.json"), join(root, "sbom.cdx.json"));
  makeShare(join(root, "share"), at);
  datedAs(root, at, []);
  const file = join(directory, `${name}.tar.gz`);
  const options = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", `--mtime=@${at}`];
  const compress = `--use-compress-program=gzip -n ${compression === "none" ? "-1" : "-9"}`;
  execFileSync("tar", [...options, compress, "-C", stage, "-cf", file, name]);
  process.stdout.write(`${file}\n`);
}

function makeRpm(tree: string): void {
  if (spawnSync("rpmbuild", ["--version"]).status !== 0) {
    process.stderr.write("no .rpm: rpmbuild is missing: apt-get install rpm\n");
    return;
  }
  const top = join(stage, "rpm");
  const spec = join(top, "fim-agent.spec");
  const listed = execFileSync("find", [".", "(", "-type", "f", "-o", "-type", "l", ")"], {
    cwd: tree,
    encoding: "utf8",
  });
  const files = listed
    .split("\n")
    .map((path) => path.slice(1))
    .filter((path) => path !== "" && !path.startsWith("/etc/") && !path.startsWith(libraries))
    .toSorted();
  const text = readFileSync(join(home, "packaging/rpm/fim-agent.spec"), "utf8");
  const filled = text.replace("@VERSION@", version).replace("@TREE@", tree);
  put(spec, `${filled}${[libraries.slice(0, -1), ...files].join("\n")}\n`);
  const macros: Readonly<Record<string, string>> = {
    _topdir: top,
    _rpmdir: directory,
    _rpmfilename: "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
    _buildhost: "localhost",
    _binary_payload: compression === "none" ? "w0.gzdio" : "w9.xzdio",
    // Nothing is stripped, compressed or searched for what it needs: the tree stays as it is.
    __os_install_post: "%{nil}",
    _build_id_links: "none",
    debug_package: "%{nil}",
    use_source_date_epoch_as_buildtime: "1",
    clamp_mtime_to_source_date_epoch: "1",
  };
  const defined = Object.entries(macros).flatMap(([key, value]) => ["--define", `${key} ${value}`]);
  execFileSync("rpmbuild", ["-bb", "--target", rpmArchitecture, ...defined, spec], {
    stdio: ["ignore", "ignore", "pipe"],
    env,
  });
  process.stdout.write(`${join(directory, `fim-agent-${version}-1.${rpmArchitecture}.rpm`)}\n`);
}

function makeDebian(root: string): void {
  const control = join(root, "DEBIAN");
  const scripts = ["postinst", "prerm", "postrm"];
  for (const file of ["conffiles", ...scripts])
    cpSync(join(home, "packaging/debian", file), join(control, file));
  const text = readFileSync(join(home, "packaging/debian/control"), "utf8");
  const [kilobytes = ""] = execFileSync("du", ["-sk", root], { encoding: "utf8" }).split("\t");
  const filled = text
    .replace("@VERSION@", version)
    .replace("@ARCHITECTURE@", debianArchitecture)
    .replace("@SIZE@", kilobytes);
  put(join(control, "control"), filled);
  datedAs(
    root,
    at,
    scripts.map((script) => `DEBIAN/${script}`),
  );
  const file = join(directory, `${name}.deb`);
  const options = ["--root-owner-group", `-Z${compression}`, "--build", root, file];
  execFileSync("dpkg-deb", options, { stdio: "ignore", env });
  process.stdout.write(`${file}\n`);
}

function commitDate(): string {
  return execFileSync("git", ["log", "-1", "--format=%ct"], { cwd: home, encoding: "utf8" }).trim();
}
