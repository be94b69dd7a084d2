import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Parsed } from "./parse.ts";

/** The shipped policies as the build parsed them, by the SHA-256 of their text. */
export const compiledFile: URL = new URL("../policies.json", import.meta.url);

let compiled: Readonly<Record<string, Parsed>> | undefined;

/**
 * Parses one policy file, unless the build has parsed this text: yaml and zod cost each start a tenth of a second and
 * the agent 20 MB.
 */
export async function readPolicy(text: string, file: string): Promise<Parsed> {
  compiled ??= readCompiled();
  const known = compiled[textKey(text)];
  if (known) return known;
  const { parsePolicy } = await import("./parse.ts");
  return parsePolicy(text, file);
}

export function textKey(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Absent beside sources that were not built. */
function readCompiled(): Readonly<Record<string, Parsed>> {
  try {
    return JSON.parse(readFileSync(compiledFile, "utf8")) as Readonly<Record<string, Parsed>>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}
