import { readFile } from "node:fs/promises";

/** A text file; the caller explains its errors. */
export function readText(path: string): Promise<string> {
  return readFile(path, "utf8");
}
