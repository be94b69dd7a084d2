import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { home } from "./program.ts";

interface Sbom {
  serialNumber?: string;
  readonly metadata: {
    timestamp?: string;
    readonly component: { name: string; readonly "bom-ref": string };
  };
  components: readonly { readonly "bom-ref": string }[];
  dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
  readonly [key: string]: unknown;
}

/**
 * The packages of a program as CycloneDX JSON: those of which it has files, and Node. npm writes the time and a random
 * serial number; here both follow from the content and the given time, so that two builds give the same bytes.
 *
 * @param program what `copyProgram` made
 * @param at seconds since 1970
 */
export function makeSbom(program: string, at: number): string {
  // With --omit=dev npm leaves out what a developer's package needs, too: zod, for example, and yargs.
  const args = ["sbom", "--sbom-format=cyclonedx", "--package-lock-only"];
  const text = execFileSync("npm", args, { cwd: home, encoding: "utf8", maxBuffer: 2 ** 26 });
  const sbom = JSON.parse(text) as Sbom;
  delete sbom.serialNumber;
  sbom.metadata.timestamp = new Date(at * 1000).toISOString();
  // npm takes the directory's name.
  sbom.metadata.component.name = "fim-agent";
  const node = `node@${process.versions.node}`;
  const there = new Set([sbom.metadata.component["bom-ref"], node, ...packagesIn(program)]);
  sbom.components = sbom.components.filter((one) => there.has(one["bom-ref"]));
  sbom.dependencies = sbom.dependencies
    .filter(({ ref }) => there.has(ref))
    .map(({ ref, dependsOn = [] }) => ({
      ref,
      dependsOn: dependsOn.filter((one) => there.has(one)),
    }));
  sbom.serialNumber = `urn:uuid:${uuidOf(JSON.stringify(sbom))}`;
  return `${JSON.stringify(sbom, undefined, 1)}\n`;
}

/** "name@version" of each package, as npm refers to it. */
function packagesIn(program: string): readonly string[] {
  const files = globSync("node_modules/**/package.json", { cwd: program });
  return files.map((file) => {
    const { name, version } = JSON.parse(readFileSync(join(program, file), "utf8")) as {
      readonly name?: string;
      readonly version?: string;
    };
    return `${name}@${version}`;
  });
}

/** A UUID of version 8, RFC 9562: made of a digest. */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
