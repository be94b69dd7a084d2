import { parseGlob } from "./globs.ts";
import type { Observation } from "../change/observation.ts";
import type { Match } from "./rule.ts";

/** One check of a rule at a path, and its result. */
export interface AuditResult {
  readonly path: string;
  readonly rule: string;
  readonly check: "mode" | "owner";
  readonly expected: string;
  readonly found: string;
  readonly passed: boolean;
  readonly cis: readonly string[];
}

interface OwnerNames {
  readonly user: (uid: number) => string | undefined;
  readonly group: (gid: number) => string | undefined;
}

/**
 * Compares owner and mode with the rule's. Symbolic links have none of their own. The mode holds for files and for a
 * directory that the rule names: a directory matched by a wildcard needs its search bits.
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
    const owners = { user: names.user(seen.uid), group: names.group(seen.gid) };
    const passed = isOf(user, seen.uid, owners.user) && isOf(group, seen.gid, owners.group);
    const found = `${owners.user ?? seen.uid}:${owners.group ?? seen.gid}`;
    results.push({ ...base, check: "owner", expected: rule.owner, found, passed });
  }
  return results;
}

/** To the kernel root is 0: the node's accounts, which an intruder may write, do not decide. */
function isOf(expected: string, id: number, name: string | undefined): boolean {
  return expected === "root" ? id === 0 : expected === name || expected === `${id}`;
}

function isNamed(path: string, glob: string): boolean {
  const parsed = parseGlob(glob);
  return "globs" in parsed && parsed.globs.some((one) => one.literal && one.prefix === path);
}

/**
 * No bit is set that the greatest allowed mode lacks, over all twelve bits (CIS Kubernetes Benchmark, kube-bench's
 * bitmask).
 */
export function isStricter(mode: number, greatest: number): boolean {
  return (mode & ~greatest & 0o7777) === 0;
}

function fourDigits(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
