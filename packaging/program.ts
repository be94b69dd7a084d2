import { cpSync, globSync, mkdirSync, statSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { packagesOf } from "../src/agent/self/packages.ts";

/** The repository. */
export const home: string = dirname(import.meta.dirname);

/** What Node loads, and licences. Everything else in a package is for its developers. */
const loaded = new Set([".js", ".cjs", ".mjs", ".json", ".node", ".css"]);
const licence = /^(?:licen[cs]e|notice|copying)/i;

/** Native modules for other platforms: better-sqlite3's prebuilds, and koffi's second C library. */
const foreign = /(?:^|\/)(?:(?:darwin|win32|linuxmusl)-[^/]+\.node|musl_[^/]+\/.*)$/;
/** Directories of a package with sources of C libraries, tests, documents, code for browsers; other forms of zod. */
const unused =
  /^(?:deps|vendor|doc|docs|tests?|__tests__|benchmarks?|examples?|browser|v3|v4-mini|mini)\//;

/** What runs: built modules, shipped policies, the packages of production. Without Node. */
export function copyProgram(target: string): void {
  for (const name of ["bin", "dist", "baselines", "package.json", "LICENSE", "CHANGELOG.md"])
    cpSync(join(home, name), join(target, name), { recursive: true });
  for (const directory of packagesOf(home))
    copyPackage(directory, join(target, relative(home, directory)));
}

function copyPackage(from: string, to: string): void {
  for (const file of globSync("**", { cwd: from, exclude: ["node_modules/**"] })) {
    const path = join(from, file);
    if (!statSync(path).isFile() || !isKept(file)) continue;
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(path, join(to, file));
  }
}

function isKept(file: string): boolean {
  if (extname(file) === ".node") return !foreign.test(file) && !isOtherMachine(file);
  return (loaded.has(extname(file)) && !unused.test(file)) || licence.test(basename(file));
}

/** "prebuilds/linux-arm64.node" on x64. */
function isOtherMachine(file: string): boolean {
  const [, machine = process.arch] = /linux-([^/]+)\.node$/.exec(file) ?? [];
  return machine !== process.arch;
}
