import { IntegrityError } from "../core/error.ts";
import { decodePath } from "../core/path.ts";

type Given = Readonly<Record<string, unknown>>;

/** Paths of the node from the command line: absolute, without a trailing slash. */
export function pathsOf(given: Given): readonly string[] {
  return listOf(given, "path").map(nodePath);
}

export function nodePath(text: string): string {
  if (!text.startsWith("/"))
    throw new IntegrityError("USAGE", `path ${text}: expected the node's own absolute path`, {
      hint: "write it as the node sees it, without --root in front",
    });
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes(".."))
    throw new IntegrityError("USAGE", `path ${text}: expected no ".." in it`);
  return decodePath(Buffer.from(`/${parts.join("/")}`));
}

export function listOf(given: Given, name: string): readonly string[] {
  const value = given[name];
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map(String);
}

export function reasonOf(given: Given): string | undefined {
  const reason = given["reason"];
  return typeof reason === "string" && reason.trim() !== "" ? reason.trim() : undefined;
}
