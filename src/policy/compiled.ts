import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Parsed } from "./parse.ts";

/** What the build made of the shipped policies, each under the SHA-256 of its text. */
export const compiledFile: URL = new URL("../policies.json", import.meta.url);

let compiled: Readonly<Record<string, Parsed>> | undefined;

/**
 * Reads one policy file. A text that the build has read is not read again: yaml and zod, which cost each start a
 * tenth of a second and the agent 20 MB, are loaded for other texts only.
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

/** Beside sources that nobody built there is none. */
function readCompiled(): Readonly<Record<string, Parsed>> {
  try {
    return JSON.parse(readFileSync(compiledFile, "utf8")) as Readonly<Record<string, Parsed>>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
}
