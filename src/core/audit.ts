import { parseGlob } from "./globs.ts";
import type { Observation } from "./observation.ts";
import type { Match } from "./rule.ts";

/** One check of a rule at a path, and what came of it. */
export interface AuditResult {
  readonly path: string;
  readonly rule: string;
  readonly check: "mode" | "owner";
  readonly expected: string;
  readonly found: string;
  readonly passed: boolean;
  readonly cis: readonly string[];
}

export interface OwnerNames {
  readonly user: (uid: number) => string | undefined;
  readonly group: (gid: number) => string | undefined;
}

/**
 * Owner and mode as the rule wants them. Symbolic links have neither of their own. The mode is meant for files,
 * and for a directory that the rule names: one that a wildcard brings along needs its search bits.
 */
export function audit(
  path: string,
  seen: Observation,
  { match, names }: { readonly match: Match; readonly names: OwnerNames },
): readonly AuditResult[] {
  if (seen.type === "symlink") return [];
  const { rule, glob } = match;
  const base = { path, rule: rule.id, cis: rule.cis };
  const results: AuditResult[] = [];
  const hasMode = seen.type === "file" || (seen.type === "directory" && isNamed(path, glob));
  if (rule.mode !== undefined && hasMode)
    results.push({
      ...base,
      check: "mode",
      expected: `${fourDigits(Number.parseInt(rule.mode, 8))} or stricter`,
      found: fourDigits(seen.mode),
      passed: isStricter(seen.mode, Number.parseInt(rule.mode, 8)),
    });
  if (rule.owner !== undefined) {
    const [user = "", group = ""] = rule.owner.split(":");
    const found = [names.user(seen.uid) ?? `${seen.uid}`, names.group(seen.gid) ?? `${seen.gid}`];
    const passed =
      [found[0], `${seen.uid}`].includes(user) && [found[1], `${seen.gid}`].includes(group);
    results.push({ ...base, check: "owner", expected: rule.owner, found: found.join(":"), passed });
  }
  return results;
}

function isNamed(path: string, glob: string): boolean {
  const parsed = parseGlob(glob);
  return "globs" in parsed && parsed.globs.some((one) => one.literal && one.prefix === path);
}

/** No bit is set that the greatest allowed mode lacks, over all twelve bits (CIS Kubernetes Benchmark, kube-bench's bitmask). */
export function isStricter(mode: number, greatest: number): boolean {
  return (mode & ~greatest & 0o7777) === 0;
}

function fourDigits(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
