import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { home } from "./program.ts";

interface Sbom {
  serialNumber?: string;
  readonly metadata: { timestamp?: string; readonly component: { name: string } };
  readonly [key: string]: unknown;
}

/**
 * The packages of production as CycloneDX JSON. npm writes the time and a random serial number; here both follow from
 * the content and the given time, so that two builds give the same bytes.
 *
 * @param at seconds since 1970
 */
export function makeSbom(at: number): string {
  const args = ["sbom", "--omit=dev", "--sbom-format=cyclonedx", "--package-lock-only"];
  const text = execFileSync("npm", args, { cwd: home, encoding: "utf8", maxBuffer: 2 ** 26 });
  const sbom = JSON.parse(text) as Sbom;
  delete sbom.serialNumber;
  sbom.metadata.timestamp = new Date(at * 1000).toISOString();
  // npm takes the directory's name.
  sbom.metadata.component.name = "fim-agent";
  sbom.serialNumber = `urn:uuid:${uuidOf(JSON.stringify(sbom))}`;
  return `${JSON.stringify(sbom, undefined, 1)}\n`;
}

/** A UUID of version 8, RFC 9562: made of a digest. */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes[6] = 0x80 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  const hex = bytes.toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
