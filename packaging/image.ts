import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { parseArgs } from "node:util";
import { home } from "./program.ts";
import { version } from "../src/node/version.ts";

/*
 * `npm run image [-- [--arch arm64] NAME [FILE.tar]]`: builds the image with buildah and prints its digest and size; FILE
 * is a docker-archive. Every date in it is that of the last commit. For another machine than this one, the kernel must
 * run its programs by an emulator, such as Debian's qemu-user-static.
 */

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { arch: { type: "string" } },
});
const [name = "localhost/fim-agent:dev", archive] = positionals;
const at = run("git", ["log", "-1", "--format=%ct"]);

// The image to begin with, by its digest where a registry is reachable.
const base = process.env["NODE_IMAGE"];
const labels = { VERSION: version, REVISION: run("git", ["rev-parse", "HEAD"]) };
const given = Object.entries({
  ...labels,
  SOURCE_DATE_EPOCH: at,
  ...(base !== undefined && { NODE_IMAGE: base }),
});
const args = given.flatMap(([key, value]) => ["--build-arg", `${key}=${value}`]);
const builder = ["bud", "--isolation", "chroot", "--network", "host", "--layers"];
const machine = values.arch === undefined ? [] : ["--arch", values.arch];
execFileSync("buildah", [...builder, ...machine, "--timestamp", at, ...args, "--tag", name, home], {
  stdio: ["ignore", "inherit", "inherit"],
});
if (archive !== undefined) {
  // An archive that exists is not written.
  rmSync(archive, { force: true });
  execFileSync("buildah", ["push", "--quiet", name, `docker-archive:${archive}:${name}`], {
    stdio: "inherit",
  });
}
const [{ size, digest } = { size: "?", digest: "?" }] = JSON.parse(
  run("buildah", ["images", "--json", name]),
) as { readonly size: string; readonly digest: string }[];
process.stdout.write(`${name} ${digest} ${size}\n`);

function run(program: string, words: readonly string[]): string {
  return execFileSync(program, words, { cwd: home, encoding: "utf8" }).trim();
}
