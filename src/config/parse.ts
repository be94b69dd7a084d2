import { resolve } from "node:path";
import { z } from "zod";
import { readYaml } from "../policy/yaml.ts";

interface Fault {
  readonly line: number;
  readonly message: string;
}

type LineOf = (keys: readonly PropertyKey[]) => number;

interface Parsed<Value> {
  /** Undefined: there are problems. */
  readonly parsed?: Value;
  /** Each as "file:line: what is wrong". */
  readonly problems: readonly string[];
  readonly lineOf: LineOf;
}

/** The text of a YAML file -> its content by the schema, or every problem. */
export function parseFile<Schema extends z.ZodType>(
  schema: Schema,
  file: string,
  text: string,
): Parsed<z.output<Schema>> {
  const { faults, raw, lineOf } = readYaml(text);
  const located = (all: readonly Fault[]) =>
    all
      .toSorted((a, b) => a.line - b.line)
      .map(({ line, message }) => `${file}:${line}: ${message}`);
  if (faults.length > 0) return { problems: located(faults), lineOf };
  const parsed = schema.safeParse(raw ?? {});
  if (parsed.success) return { parsed: parsed.data, problems: [], lineOf };
  const issues = parsed.error.issues.flatMap((issue) => describe(issue, lineOf));
  return { problems: located(issues), lineOf };
}

/** A path, resolved against this directory. */
export function filePath(dir: string) {
  return z
    .string()
    .min(1, "expected a path, found nothing")
    .transform((text) => resolve(dir, text));
}

/** One fault for each problem, and one for each unknown setting. */
function describe(issue: z.core.$ZodIssue, lineOf: LineOf): readonly Fault[] {
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => {
      const name = [...issue.path, key].join(".");
      return { line: lineOf([...issue.path, key]), message: `${name}: there is no such setting` };
    });
  }
  const name = issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
  return [{ line: lineOf(issue.path), message: `${name}${messageOf(issue)}` }];
}

function messageOf(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_value") return `expected one of ${issue.values.join(", ")}`;
  return issue.message
    .replace(/^Invalid input: /, "")
    .replace(/, received undefined$/, ", found nothing")
    .replace(/, received /, ", found ");
}
