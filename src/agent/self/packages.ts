import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";

interface Manifest {
  readonly dependencies?: Readonly<Record<string, unknown>>;
  readonly optionalDependencies?: Readonly<Record<string, unknown>>;
}

/** The directories of all packages that this one needs to run, as far as they are installed, itself left out. */
export function packagesOf(home: string): readonly string[] {
  const found = new Set([home]);
  for (const from of found) {
    const { dependencies, optionalDependencies } = readManifest(from) ?? {};
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
      const there = findPackage(name, from);
      if (there !== undefined) found.add(there);
    }
  }
  found.delete(home);
  return [...found];
}

/** As Node looks for it: in each node_modules on the way up. */
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
