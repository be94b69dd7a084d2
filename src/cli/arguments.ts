import { dashed } from "../config/options.ts";
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

/** What may be given more than once: operands and policies. */
const repeatable: ReadonlySet<string> = new Set(["_", "--", "path", "file", "policy"]);

/** Refuses an option given twice: either value may be the mistake. */
export function requireOnce(given: Given): void {
  const twice = Object.keys(given).find(
    (name) => Array.isArray(given[name]) && !repeatable.has(name),
  );
  if (twice === undefined) return;
  throw new IntegrityError("USAGE", `--${dashed(twice)}: given twice`, {
    hint: "give it once; only --policy may be repeated",
  });
}

/** `accept --policy` without a name approves the policy in force; with one it names a policy like everywhere. */
export function withBarePolicy(args: readonly string[]): string[] {
  if (args.find((arg) => !arg.startsWith("-")) !== "accept") return [...args];
  const end = args.indexOf("--");
  return args.map((arg, at) => {
    const next = args[at + 1];
    const isBare = arg === "--policy" && (next === undefined || next.startsWith("--"));
    return isBare && (end < 0 || at < end) ? "--policy-in-force" : arg;
  });
}

/** With the words after "--" among the command's operands. */
export function withOperands(given: Given, operand: string | undefined): Given {
  const { "--": _, ...rest } = given;
  const more = listOf(given, "--");
  if (more.length === 0) return rest;
  const name = operand?.replace("..", "");
  const all = name === undefined ? more : [...listOf(rest, name), ...more];
  const isMany = name !== operand;
  if (name === undefined || (all.length > 1 && !isMany))
    throw new IntegrityError("USAGE", `unknown argument: ${all.at(-1)}`, {
      hint: "see --help",
    });
  return { ...rest, [name]: isMany ? all : all[0] };
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
