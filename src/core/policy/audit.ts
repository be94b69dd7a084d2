import type { Observation } from "../change/observation.ts";
import { shellWord } from "../text/shell-word.ts";
import { cisIdsOf } from "./cis.ts";
import type { Check } from "./cis.ts";
import { parseGlob } from "./globs.ts";
import type { Match, Rule } from "./rule.ts";

/** One check at a path, and its result. */
export interface AuditResult {
  readonly path: string;
  readonly rule: string;
  readonly check: Check;
  readonly expected: string;
  readonly found: string;
  readonly passed: boolean;
  /** The benchmark's id of the check; empty: the check is the policy's own. */
  readonly cis: readonly string[];
  /** The command that makes it pass. Absent: it passes. */
  readonly fix?: string;
}

interface OwnerNames {
  readonly user: (uid: number) => string | undefined;
  readonly group: (gid: number) => string | undefined;
}

type Finding = Pick<AuditResult, "check" | "expected" | "found" | "passed" | "fix">;

/** Compares owner and mode with the rule's, one result for each check. Symbolic links have none of their own. */
export function audit(
  path: string,
  seen: Observation,
  { match, names }: { readonly match: Match; readonly names: OwnerNames },
): readonly AuditResult[] {
  if (seen.type === "symlink") return [];
  const { rule } = match;
  return [auditMode(path, seen, match), auditOwner(path, seen, { rule, names })]
    .filter((finding) => finding !== undefined)
    .flatMap((finding) => {
      const ids = cisIdsOf(rule.cis, path, finding.check);
      const checks = ids.length > 0 ? ids.map((id) => [id]) : [[]];
      return checks.map((cis) => ({ path, rule: rule.id, ...finding, cis }));
    });
}

function auditMode(path: string, seen: Observation, { rule, glob }: Match): Finding | undefined {
  if (rule.mode === undefined || (seen.type !== "file" && seen.type !== "directory"))
    return undefined;
  const mode = Number.parseInt(rule.mode, 8);
  const isOfFiles = seen.type === "directory" && !isNamed(path, glob);
  const greatest = isOfFiles ? forDirectory(mode) : mode;
  const passed = isStricter(seen.mode, greatest);
  // Of a directory chmod(1) clears the setuid and setgid bits only when five digits say so.
  const wanted = fourDigits(seen.mode & greatest);
  const fix = `chmod ${seen.type === "directory" ? "0" : ""}${wanted} ${shellWord(path)}`;
  return {
    check: "mode",
    expected: `${fourDigits(greatest)} or stricter`,
    found: fourDigits(seen.mode),
    passed,
    ...(!passed && { fix }),
  };
}

function auditOwner(
  path: string,
  seen: Observation,
  { rule, names }: { readonly rule: Rule; readonly names: OwnerNames },
): Finding | undefined {
  if (rule.owner === undefined) return undefined;
  const [user = "", group = ""] = rule.owner.split(":");
  const owners = { user: names.user(seen.uid), group: names.group(seen.gid) };
  const passed = isOf(user, seen.uid, owners.user) && isOf(group, seen.gid, owners.group);
  return {
    check: "owner",
    expected: rule.owner,
    found: `${owners.user ?? seen.uid}:${owners.group ?? seen.gid}`,
    passed,
    ...(!passed && { fix: `chown ${rule.owner} ${shellWord(path)}` }),
  };
}

/** The mode of a directory whose files may have this one: its owner's rights, and search where they are read. */
function forDirectory(mode: number): number {
  return mode | 0o700 | ((mode & 0o444) >> 2);
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
