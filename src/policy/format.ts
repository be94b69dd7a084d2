import { stringify } from "yaml";
import { printable, showPath } from "../core/path.ts";
import type { Policy, Rule } from "../core/policy/rule.ts";
import type { Candidate, Explanation } from "../core/policy/rules.ts";

/** The result of `policy lint` for a policy without a problem. */
export function formatLint(name: string, policy: Policy): string {
  const count = policy.rules.length === 1 ? "1 rule" : `${policy.rules.length} rules`;
  return `OK: ${printable(name)}, ${count}`;
}

/** The merged policy with every default. */
export function formatPolicy(policy: Policy, format: "yaml" | "json"): string {
  return format === "json"
    ? JSON.stringify(policy, undefined, 2)
    : stringify(policy, { lineWidth: 100, aliasDuplicateObjects: false }).trimEnd();
}

/** The result of `policy explain PATH`: the deciding rule, and every other rule that matches the path. */
export function formatExplanation(explanation: Explanation): string {
  const { path, match, candidates } = explanation;
  const [first, second] = candidates;
  const title = printable(path);
  if (!first) return `${title}: not watched, no rule matches`;
  const others = candidates.slice(1).map(candidateLine);
  const also = others.length > 0 ? ["", "also matching, most specific first:", ...others] : [];
  const head = match
    ? [`${title}: ${match.rule.id}`, ...ruleLines(match.rule)]
    : [`${title}: not watched, ${first.rule.id} excludes ${printable(first.excludedBy ?? "")}`];
  return [
    ...head,
    row("glob", printable(first.glob)),
    row("because", reason(first, second)),
    ...also,
  ].join("\n");
}

/** The same for machines. */
export function formatExplanationJson({ path, match, candidates }: Explanation): string {
  const { text, base64 } = showPath(path);
  return JSON.stringify(
    {
      path: text,
      ...(base64 !== undefined && { pathBase64: base64 }),
      watched: match !== undefined,
      ...(match && { rule: match.rule, glob: match.glob }),
      candidates: candidates.map(({ rule, ...rest }) => ({ rule: rule.id, ...rest })),
    },
    undefined,
    2,
  );
}

function ruleLines(rule: Rule): string[] {
  const rows: [string, string | undefined][] = [
    ["why", printable(rule.why)],
    ["class", rule.class],
    ["severity", rule.severity],
    ["content", rule.content],
    ["mode", rule.mode && `${rule.mode} or stricter`],
    ["owner", rule.owner],
    ["writers", list(rule.writers) + containerText(rule.containerWriters)],
    ["validators", list(rule.validators)],
    ["cis", list(rule.cis)],
    ["attack", list(rule.attack)],
  ];
  return rows.flatMap(([name, value]) => (value ? [row(name, value)] : []));
}

function list(values: readonly string[]): string {
  return values.map(printable).join(", ");
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(10)} ${value}`;
}

function candidateLine({ rule, glob, excludedBy }: Candidate): string {
  const excluded = excludedBy === undefined ? "" : `, excluded by ${printable(excludedBy)}`;
  return `  ${rule.id} (${printable(glob)}${excluded})`;
}

function reason(first: Candidate, second: Candidate | undefined): string {
  if (!second) return "no other rule matches";
  if (first.literal && !second.literal) return "it names exactly this path";
  const prefix = printable(first.prefix === "" ? "/" : first.prefix);
  if (first.prefix.length > second.prefix.length)
    return `its literal prefix ${prefix} is the longest`;
  return first.rule.id === second.rule.id
    ? `its literal prefix ${prefix} is the longest`
    : `its literal prefix ${prefix} is as long as that of ${second.rule.id}, which comes earlier`;
}

function containerText(containerWriters: Rule["containerWriters"]): string {
  if (containerWriters === "static") return " (static pods too)";
  return containerWriters ? " (containers too)" : "";
}
