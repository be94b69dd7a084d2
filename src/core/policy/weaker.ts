import { isAtLeast } from "./rule.ts";
import type { FileClass, Rule, RuleIndex } from "./rule.ts";

/** A rule that no longer protects a path as the signed policy did. */
export interface Weakening {
  readonly rule: string;
  /** "severity critical -> info", "no longer watched" */
  readonly what: string;
  readonly paths: number;
  /** The first of the paths. */
  readonly example: string;
}

/** From the strictest to the freest. */
const classes: readonly FileClass[] = ["immutable", "rotates", "append-only", "sealed", "volatile"];

const containers: readonly Rule["containerWriters"][] = [false, "static", true];

/** How the policy in force protects approved paths less than the signed one, one entry for each rule and way. */
export function weakenings(
  paths: Iterable<string>,
  signed: RuleIndex,
  inForce: RuleIndex,
): readonly Weakening[] {
  const found = new Map<string, Weakening>();
  for (const path of paths) {
    const before = signed.find(path)?.rule;
    if (!before) continue;
    for (const what of weakerIn(before, inForce.find(path)?.rule)) {
      const key = `${before.id} ${what}`;
      const known = found.get(key);
      found.set(key, {
        rule: before.id,
        what,
        paths: (known?.paths ?? 0) + 1,
        example: known?.example ?? path,
      });
    }
  }
  return [...found.values()];
}

/** In what the second rule is weaker. */
export function weakerIn(before: Rule, after: Rule | undefined): readonly string[] {
  if (!after) return ["no longer watched"];
  const added = after.writers.filter((writer) => !before.writers.includes(writer));
  const removed = before.validators.filter((one) => !after.validators.includes(one));
  return [
    ...(classes.indexOf(after.class) > classes.indexOf(before.class)
      ? [`class ${before.class} -> ${after.class}`]
      : []),
    ...(isAtLeast(after.severity, before.severity)
      ? []
      : [`severity ${before.severity} -> ${after.severity}`]),
    ...(added.length > 0 ? [`further writers ${added.join(", ")}`] : []),
    ...(containers.indexOf(after.containerWriters) > containers.indexOf(before.containerWriters)
      ? ["writers inside containers"]
      : []),
    ...(removed.length > 0 ? [`without validators ${removed.join(", ")}`] : []),
    ...(before.mode !== undefined && after.mode === undefined ? ["without a mode"] : []),
    ...(before.owner !== undefined && after.owner === undefined ? ["without an owner"] : []),
  ];
}
