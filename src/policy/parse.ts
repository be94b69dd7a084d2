import { z } from "zod";
import { parseGlob, pathProblem } from "../core/policy/globs.ts";
import { ruleDefaults, severities } from "../core/policy/rule.ts";
import type { ContentKind, FileClass, Rule } from "../core/policy/rule.ts";
import { nearest } from "./nearest.ts";
import { readYaml } from "./yaml.ts";

/** A problem for the operator, and its place. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly message: string;
}

/** A name, and the line that it stands on. */
interface Named {
  readonly name: string;
  readonly line: number;
}

/** When a policy fits a node: which paths exist. */
export interface Detect {
  readonly all: readonly string[];
  readonly any: readonly string[];
  readonly none: readonly string[];
}

/** One policy file; its rules' ids do not yet have the policy's name. */
export interface PolicyFile {
  readonly name: string;
  readonly description: string;
  readonly detect?: Detect;
  readonly rules: readonly Rule[];
}

/** The result of parsing a policy file. */
export interface Parsed {
  /** Absent when there is any problem. */
  readonly policy?: PolicyFile;
  readonly include: readonly Named[];
  /** Of each rule. */
  readonly lines: readonly number[];
  readonly problems: readonly Problem[];
}

const classes = [
  "immutable",
  "rotates",
  "append-only",
  "sealed",
  "volatile",
] as const satisfies readonly FileClass[];

const contents = [
  "text",
  "kubernetes-manifest",
  "kubeconfig",
  "certificate",
  "kubelet-config",
  "secret",
] as const satisfies readonly ContentKind[];

const validators = ["certificate-renewal", "kubeconfig-renewal"] as const;

const account = String.raw`(?:[A-Za-z_][A-Za-z0-9_.-]*\$?|\d+)`;
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]*$/, "expected lower-case letters, digits, '.', '_' and '-'");
const path = z.string().superRefine((text, context) => {
  const problem = pathProblem(text);
  if (problem) context.addIssue({ code: "custom", message: `${JSON.stringify(text)} ${problem}` });
});
const glob = z.string().superRefine((text, context) => {
  const parsed = parseGlob(text);
  if ("problem" in parsed)
    context.addIssue({ code: "custom", message: `${JSON.stringify(text)} ${parsed.problem}` });
});

const ruleSchema = z.strictObject({
  id: name,
  paths: z.array(glob).min(1, "expected at least one path"),
  exclude: z.array(glob).exactOptional(),
  class: z.enum(classes),
  severity: z.enum(severities),
  why: z.string().min(1, "expected a sentence"),
  mode: z
    .string()
    .regex(/^0?[0-7]{3,4}$/, 'expected octal digits such as "0600"')
    .transform((digits) => digits.padStart(4, "0").slice(-4))
    .exactOptional(),
  owner: z
    .string()
    .regex(new RegExp(`^${account}:${account}$`), "expected user:group")
    .exactOptional(),
  writers: z.array(path).exactOptional(),
  containerWriters: z.literal([true, false, "static"]).exactOptional(),
  content: z.enum(contents).exactOptional(),
  validators: z.array(z.enum(validators)).exactOptional(),
  cis: z
    .array(z.string().regex(/^\d+(\.\d+)+$/, 'expected a number such as "1.1.1"'))
    .exactOptional(),
  attack: z
    .array(z.string().regex(/^T\d{4}(\.\d{3})?$/, "expected an id such as T1543 or T1543.002"))
    .exactOptional(),
});

const detectSchema = z.strictObject({
  all: z.array(path).default([]),
  any: z.array(path).default([]),
  none: z.array(path).default([]),
});

const policySchema = z.strictObject({
  name,
  description: z.string().default(""),
  include: z.array(z.string().min(1)).default([]),
  detect: detectSchema.optional(),
  rules: z.array(ruleSchema).default([]),
});

type Key = string | number;

/** A policy file's text -> the policy, or every problem. */
export function parsePolicy(text: string, file: string): Parsed {
  const { faults, raw, isReadable, lineOf } = readYaml(text);
  const problems = faults.map((fault) => ({ file, ...fault }));
  if (!isReadable) return { include: [], lines: [], problems };
  const result = policySchema.safeParse(raw);
  for (const issue of result.error?.issues ?? [])
    for (const { keys, message } of faultsOf(issue, raw))
      problems.push({ file, line: lineOf(keys), message });
  for (const { keys, id } of repeatedIds(raw))
    problems.push({ file, line: lineOf(keys), message: `rule id ${id} is used twice` });
  problems.sort((a, b) => a.line - b.line);
  const include = includesOf(raw).map((one, at) => ({ name: one, line: lineOf(["include", at]) }));
  if (!result.success || problems.length > 0) return { include, lines: [], problems };
  const { include: _, detect, ...rest } = result.data;
  const rules = result.data.rules.map((rule): Rule => ({ ...ruleDefaults, ...rule }));
  const lines = rules.map((_rule, at) => lineOf(["rules", at]));
  return { policy: { ...rest, rules, ...(detect && { detect }) }, include, lines, problems };
}

interface Fault {
  readonly keys: readonly Key[];
  readonly message: string;
}

function faultsOf(issue: z.core.$ZodIssue, raw: unknown): Fault[] {
  const keys = issue.path.filter((key) => typeof key !== "symbol");
  const where = keys.length > 0 ? `${spell(keys)}: ` : "";
  if (issue.code === "unrecognized_keys") {
    const known = Object.keys(shapeAt(keys));
    return issue.keys.map((key) => ({
      keys: [...keys, key],
      message: `${where}unknown key ${JSON.stringify(key)}${nearest(key, known)}`,
    }));
  }
  const found = valueAt(raw, keys);
  if (found === undefined && keys.length > 0) return [{ keys, message: `${where}missing` }];
  return [{ keys, message: where + expectation(issue, found) }];
}

function expectation(issue: z.core.$ZodIssue, found: unknown): string {
  if (issue.code === "invalid_type")
    return `expected ${kindOf(issue.expected)}, found ${show(found)}${unquoted(issue.expected, found)}`;
  if (issue.code === "invalid_value") {
    const known = issue.values.map(String);
    const hint = typeof found === "string" ? nearest(found, known) : "";
    return `expected ${known.join(", ")}, found ${show(found)}${hint}`;
  }
  return issue.code === "custom" ? issue.message : `${issue.message}, found ${show(found)}`;
}

/** YAML reads 0600 and 1.1 as numbers. */
function unquoted(expected: string, found: unknown): string {
  return expected === "string" && typeof found === "number" ? ", write it in quotes" : "";
}

function shapeAt(keys: readonly Key[]): object {
  if (keys.length === 0) return policySchema.shape;
  return keys[0] === "rules" ? ruleSchema.shape : detectSchema.shape;
}

function spell(keys: readonly Key[]): string {
  return keys.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? key : `${text}.${key}`;
  }, "");
}

function kindOf(expected: string): string {
  return expected === "array" ? "a list" : expected === "object" ? "a map" : `a ${expected}`;
}

function show(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object" && value !== null) return "a map";
  if (value === null || value === undefined) return "nothing";
  return typeof value === "string"
    ? JSON.stringify(value)
    : `${typeof value} ${JSON.stringify(value)}`;
}

function valueAt(raw: unknown, keys: readonly Key[]): unknown {
  let value = raw;
  for (const key of keys) {
    if (typeof value !== "object" || value === null) return undefined;
    value = (value as Readonly<Record<Key, unknown>>)[key];
  }
  return value;
}

function includesOf(raw: unknown): string[] {
  const value = valueAt(raw, ["include"]);
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

function repeatedIds(raw: unknown): { readonly keys: readonly Key[]; readonly id: string }[] {
  const rules = valueAt(raw, ["rules"]);
  const seen = new Set<string>();
  const repeated: { keys: Key[]; id: string }[] = [];
  for (const [at, rule] of (Array.isArray(rules) ? rules : []).entries()) {
    const id = valueAt(rule, ["id"]);
    if (typeof id !== "string") continue;
    if (seen.has(id)) repeated.push({ keys: ["rules", at, "id"], id });
    seen.add(id);
  }
  return repeated;
}
