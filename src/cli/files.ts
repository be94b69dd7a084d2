import { readFile } from "node:fs/promises";

/** A text file; its errors are the caller's to explain. */
export function readText(path: string): Promise<string> {
  return readFile(path, "utf8");
}
