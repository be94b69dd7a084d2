import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { IntegrityError } from "../core/error.ts";
import { printable } from "../core/path.ts";
import { canonicalRules } from "../core/policy/canonical.ts";
import type { Policy, Rule } from "../core/policy/rule.ts";
import { readPolicy } from "./compiled.ts";
import { nearest } from "./nearest.ts";
import { readOperatorFile } from "./operator-file.ts";
import type { PolicyFile, Problem } from "./parse.ts";

/** Directories searched for "<dir>/<name>.yaml", first one first. */
interface PolicyOptions {
  readonly dirs: readonly string[];
}

interface Loaded {
  readonly file: string;
  readonly policy: PolicyFile;
  readonly lines: readonly number[];
}

interface Loading {
  readonly options: PolicyOptions;
  /** Files read so far, by absolute path. */
  readonly seen: Set<string>;
  /** In merging order. */
  readonly policies: Loaded[];
  readonly problems: Problem[];
}

/** A policy, and where each of its rules stands. */
export interface PlacedPolicy {
  readonly policy: Policy;
  readonly places: readonly { readonly file: string; readonly line: number }[];
}

/**
 * Loads and merges policies, included ones first, each file once. A name with a "/" or an ending .yaml is a file.
 * Refuses an invalid policy with every problem in every file.
 */
export async function loadPlacedPolicy(
  names: readonly string[],
  options: PolicyOptions,
): Promise<PlacedPolicy> {
  const loading: Loading = { options, seen: new Set(), policies: [], problems: [] };
  const asked: string[] = [];
  for (const name of names) {
    const file = fileOf(name, options.dirs, ".");
    if (file === undefined) throw unknownPolicy(name, loading);
    await read(file, [], loading);
    asked.push(resolve(file));
  }
  const rules = merge(loading);
  if (loading.problems.length === 0 && rules.length === 0)
    loading.problems.push(...asked.map(watchesNothing));
  if (loading.problems.length > 0) throw invalidPolicy(names, loading.problems);
  const own = loading.policies.filter(({ file }) => asked.includes(file));
  const merged: Policy = {
    name: own.map(({ policy }) => policy.name).join("+"),
    description: own.map(({ policy }) => policy.description).join("; "),
    rules,
    digest: createHash("sha256").update(canonicalRules(rules)).digest("hex"),
  };
  const places = loading.policies.flatMap((one) =>
    one.policy.rules.map((_, at) => ({ file: one.file, line: one.lines[at] ?? 1 })),
  );
  return { policy: merged, places };
}

/** The same without the places. */
export async function loadPolicy(
  names: readonly string[],
  options: PolicyOptions,
): Promise<Policy> {
  return (await loadPlacedPolicy(names, options)).policy;
}

/** The policies by name: "<dir>/<name>.yaml", first directory first. */
export function policyFiles(dirs: readonly string[]): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const dir of dirs) {
    for (const file of filesIn(dir).filter((one) => one.endsWith(".yaml"))) {
      const name = basename(file, ".yaml");
      if (!files.has(name)) files.set(name, join(dir, file));
    }
  }
  return files;
}

/** The error with every problem, each with its file and line. */
export function invalidPolicy(
  names: readonly string[],
  problems: readonly Problem[],
): IntegrityError {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const lines = problems.map(
    ({ file, line, message }) => `\n  ${printable(file)}:${line}: ${printable(message)}`,
  );
  const title = names.map(printable).join(", ");
  return new IntegrityError("POLICY_INVALID", `policy ${title}: ${count}${lines.join("")}`, {
    hint: "correct these lines, then try: fim-agent policy lint FILE",
  });
}

async function read(file: string, including: readonly string[], loading: Loading): Promise<void> {
  const whole = resolve(file);
  if (loading.seen.has(whole)) return;
  loading.seen.add(whole);
  const found = readOperatorFile(file);
  if ("problem" in found) {
    loading.problems.push({ file, line: 1, message: found.problem });
    return;
  }
  const { policy, include, lines, problems } = await readPolicy(found.text, file);
  loading.problems.push(...problems);
  const chain = [...including, whole];
  for (const { name, line } of include) {
    const next = fileOf(name, loading.options.dirs, dirname(file));
    if (next === undefined) {
      const hint = nearest(name, namesIn(loading.options.dirs));
      loading.problems.push({ file, line, message: `include: no policy ${name}${hint}` });
    } else if (chain.includes(resolve(next))) {
      const circle = [...chain.slice(chain.indexOf(resolve(next))), resolve(next)];
      const spelled = circle.map((one) => basename(one)).join(" -> ");
      loading.problems.push({ file, line, message: `include: goes in a circle: ${spelled}` });
    } else await read(next, chain, loading);
  }
  if (policy) loading.policies.push({ file: whole, policy, lines });
}

/** Without rules an unwatched node would count as fine. */
function watchesNothing(file: string): Problem {
  return { file, line: 1, message: "there is no rule in it, so it would watch nothing" };
}

/** Rules in order of merging, with their full ids. */
function merge({ policies, problems }: Loading): readonly Rule[] {
  const from = new Map<string, string>();
  const rules: Rule[] = [];
  for (const { file, policy, lines } of policies) {
    for (const [at, rule] of policy.rules.entries()) {
      const id = `${policy.name}/${rule.id}`;
      const other = from.get(id);
      if (other !== undefined)
        problems.push({ file, line: lines[at] ?? 1, message: `rule id ${id} is also in ${other}` });
      from.set(id, file);
      rules.push({ ...rule, id });
    }
  }
  return rules;
}

function fileOf(name: string, dirs: readonly string[], base: string): string | undefined {
  if (name.includes("/") || /\.ya?ml$/.test(name)) return base === "." ? name : resolve(base, name);
  return policyFiles(dirs).get(name);
}

function namesIn(dirs: readonly string[]): string[] {
  return [...policyFiles(dirs).keys()].toSorted();
}

function filesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    // An operator's directory need not exist.
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return [];
    throw error;
  }
}

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}

function unknownPolicy(name: string, { options }: Loading): IntegrityError {
  const known = namesIn(options.dirs);
  return new IntegrityError(
    "POLICY_INVALID",
    `policy ${printable(name)}: expected a name (${known.join(", ")}) or a file, found neither${nearest(name, known)}`,
    { hint: "name a file by a path with a / in it, such as ./my-policy.yaml" },
  );
}
