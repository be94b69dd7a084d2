import { nodeFileTrace } from "@vercel/nft";
import { cpSync, globSync, mkdirSync, statSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { packagesOf } from "../src/agent/self/packages.ts";

/** The repository. */
export const home: string = dirname(import.meta.dirname);

const licence = /^(?:licen[cs]e|notice|copying)/i;
/** Native modules for other platforms: better-sqlite3's prebuilds, and koffi's second C library. */
const foreign = /(?:^|\/)(?:(?:darwin|win32|linuxmusl)-[^/]+\.node|musl_[^/]+\/.*)$/;

/** What runs: built modules, shipped policies, and of the packages what the modules load. Without Node. */
export async function copyProgram(target: string): Promise<void> {
  for (const name of ["bin", "dist", "baselines", "package.json", "LICENSE", "CHANGELOG.md"])
    cpSync(join(home, name), join(target, name), { recursive: true });
  const loaded = await loadedFiles();
  for (const directory of packagesOf(home)) {
    const files = filesOf(relative(home, directory));
    if (files.some((file) => loaded.has(file)))
      for (const file of files) if (isKept(file, loaded)) copy(file, target);
  }
}

/**
 * What the built modules import or require, directly or through other modules. A package's second form is left out:
 * `exports` names one for `import` and one for `require`.
 *
 * @returns paths below the repository
 */
async function loadedFiles(): Promise<ReadonlySet<string>> {
  const modules = globSync("dist/**/*.js", { cwd: home }).map((file) => join(home, file));
  const { fileList } = await nodeFileTrace(modules, { base: home, exportsOnly: true });
  return fileList;
}

/** The files of one package, as paths below the repository. */
function filesOf(directory: string): readonly string[] {
  return globSync(`${directory}/**`, {
    cwd: home,
    exclude: [`${directory}/node_modules/**`],
  }).filter((file) => statSync(join(home, file)).isFile());
}

function isKept(file: string, loaded: ReadonlySet<string>): boolean {
  if (extname(file) === ".node") return !foreign.test(file) && !isOtherMachine(file);
  const name = basename(file);
  return loaded.has(file) || name === "package.json" || licence.test(name);
}

/** "prebuilds/linux-arm64.node" on x64. */
function isOtherMachine(file: string): boolean {
  const [, machine = process.arch] = /linux-([^/]+)\.node$/.exec(file) ?? [];
  return machine !== process.arch;
}

function copy(file: string, target: string): void {
  mkdirSync(dirname(join(target, file)), { recursive: true });
  cpSync(join(home, file), join(target, file));
}
