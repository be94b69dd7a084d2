import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { datedAs } from "./dates.ts";
import { copyProgram } from "./program.ts";
import { makeSbom } from "./sbom.ts";

/*
 * `node packaging/image-root.ts DIR`, a step of the Dockerfile: makes DIR the image's whole content. Node, the
 * libraries that it loads, the two programs; no shell, no package manager. SOURCE_DATE_EPOCH dates every file.
 */

const [root = ""] = process.argv.slice(2);
if (root === "") throw new Error("usage: image-root.ts DIR");
const at = Number(process.env["SOURCE_DATE_EPOCH"] ?? "0");
const program = join(root, "usr/lib/fim-agent");
/** A user without rights, for the collector. */
const nonroot = 65_532;

await copyProgram(program);
put("usr/share/doc/fim-agent/sbom.cdx.json", makeSbom(program, at));
copy(process.execPath, "usr/local/bin/node");
for (const library of librariesOf([process.execPath, ...globSync(`${program}/**/*.node`)]))
  copy(library, library);
for (const name of ["libc6", "libgcc-s1", "libstdc++6"])
  if (existsSync(`/usr/share/doc/${name}/copyright`))
    copy(`/usr/share/doc/${name}/copyright`, `usr/share/doc/${name}/copyright`);

const launcher = "dist/cli/launch.js";
for (const name of ["fim-agent", "fim-collector"])
  symlinkSync(`../../lib/fim-agent/${launcher}`, join(root, "usr/local/bin", name));

put("etc/passwd", `root:x:0:0::/:/\nfim:x:${nonroot}:${nonroot}::/:/\n`);
put("etc/group", `root:x:0:\nfim:x:${nonroot}:\n`);
put("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
for (const name of ["host", "tmp", "var/lib/fim-agent", "var/lib/fim-collector"])
  mkdirSync(join(root, name), { recursive: true });

datedAs(root, at, [`usr/lib/fim-agent/${launcher}`]);
chmodSync(join(root, "tmp"), 0o1777);
for (const name of ["fim-agent", "fim-collector"]) chmodSync(join(root, "var/lib", name), 0o700);
chownSync(join(root, "var/lib/fim-collector"), nonroot, nonroot);

/** ldd(1) prints "name => /path (address)", and the loader's path alone. */
function librariesOf(files: readonly string[]): readonly string[] {
  const lines = files.flatMap((file) =>
    execFileSync("ldd", [file], { encoding: "utf8" }).split("\n"),
  );
  const paths = lines.map((line) => /^\s*(?:\S+ => )?(\/\S+) \(/.exec(line)?.[1]);
  return [...new Set(paths.filter((path) => path !== undefined))].toSorted();
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(join(root, to)), { recursive: true });
  copyFileSync(from, join(root, to));
}

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
