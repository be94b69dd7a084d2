import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compiledFile, textKey } from "./compiled.ts";
import { invalidPolicy, policyFiles } from "./load.ts";
import { parsePolicy } from "./parse.ts";
import type { Parsed } from "./parse.ts";

/*
 * A step of the build: parses the shipped policies, so that the agent need not at each start.
 */

const shipped = fileURLToPath(new URL("../../baselines", import.meta.url));
const compiled: Record<string, Parsed> = {};
for (const [name, file] of policyFiles([shipped])) {
  const text = readFileSync(file, "utf8");
  const parsed = parsePolicy(text, file);
  if (parsed.problems.length > 0) throw invalidPolicy([name], parsed.problems);
  compiled[textKey(text)] = parsed;
}
writeFileSync(compiledFile, `${JSON.stringify(compiled)}\n`);
