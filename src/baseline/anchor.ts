import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { KeyObject } from "node:crypto";
import { sealAnchor } from "../core/statement.ts";
import type { Anchor } from "../core/statement.ts";
import { IntegrityError } from "../core/error.ts";
import { replaceFile } from "./durable.ts";

/** Beside the key and not in the database: what remembers the last baseline when the database does not. */
export function anchorFile(stateDir: string): string {
  return join(stateDir, "anchor.json");
}

export function readAnchorFile(stateDir: string): string | undefined {
  const file = anchorFile(stateDir);
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new IntegrityError("STATE_UNUSABLE", `anchor ${file}: cannot be read (${code})`, {
      hint: "check its owner and mode",
      cause: error,
    });
  }
}

export function writeAnchorFile(
  stateDir: string,
  anchor: Omit<Anchor, "v" | "key">,
  key: KeyObject,
): void {
  replaceFile(anchorFile(stateDir), `${JSON.stringify(sealAnchor(anchor, key))}\n`);
}
