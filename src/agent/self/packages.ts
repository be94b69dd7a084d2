import { closure } from "../../core/closure.ts";
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, unknown>>;
  readonly optionalDependencies?: Readonly<Record<string, unknown>>;
}

/** The directories of all installed packages that this one needs to run, without itself. */
export function packagesOf(home: string): readonly string[] {
  const found = closure([home], neededBy);
  found.delete(home);
  return [...found];
}

function neededBy(directory: string): readonly string[] {
  const { dependencies, optionalDependencies } = readManifest(directory) ?? {};
  return Object.keys({ ...dependencies, ...optionalDependencies })
    .map((name) => findPackage(name, directory))
    .filter((found) => found !== undefined);
}

/** Looks in each node_modules on the way up, as Node does. */
function findPackage(name: string, from: string): string | undefined {
  const there = join(from, "node_modules", name);
  if (readManifest(there)) return realpathSync(there);
  const above = dirname(from);
  return above === from ? undefined : findPackage(name, above);
}

function readManifest(directory: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Manifest;
  } catch {
    return undefined; // Not installed.
  }
}
