import type { Change, Field, Verdict } from "./change.ts";
import type { Actor } from "./hint.ts";
import { nameOf } from "./path.ts";
import { isAtLeast } from "./rule.ts";
import type { Rule, Severity } from "./rule.ts";

/** What is known beside the change itself. */
export interface Circumstances {
  /** Who did it, and whether its executable may be trusted to be what its path says. */
  readonly actor?: Actor;
  readonly trustedExecutable?: boolean;
  /** Names of the other files in the directory under the same rule: for class sealed. */
  readonly siblings: readonly string[];
  /** The rule's validators ran and all held. Undefined: it has none, or they could not run. */
  readonly valid?: boolean;
}

export interface Judgement {
  readonly change: Change;
  readonly severity: Severity;
  readonly verdict: Verdict;
}

/**
 * Whether the rule allows a change. Undefined: the class expects it and nobody needs to hear of it.
 * Who is unknown is never an allowed writer; who is known and not listed is never allowed, whatever the class.
 */
export function judge(change: Change, rule: Rule, facts: Circumstances): Judgement | undefined {
  const writer = judgeWriter(rule, facts);
  const told = writer === "stranger" ? change : withoutExpected(change, rule, facts);
  if (!told) return undefined;
  const approved =
    writer !== "stranger" &&
    (isExpectedByClass(told, rule, facts) || isAllowed(writer, rule, facts));
  if (approved && told.kind !== "mounted" && told.kind !== "unreadable")
    return { change: told, severity: "info", verdict: "approved" };
  return { change: told, severity: severityOf(told, rule.severity), verdict: "unexpected" };
}

type Writer = "allowed" | "stranger" | "unknown";

function judgeWriter(rule: Rule, { actor, trustedExecutable }: Circumstances): Writer {
  if (rule.writers.length === 0 || actor?.exe === undefined) return "unknown";
  const listed = rule.writers.includes(actor.exe) && trustedExecutable !== false;
  const contained = actor.container !== undefined && !rule.containerWriters;
  return listed && !contained ? "allowed" : "stranger";
}

function isAllowed(writer: Writer, rule: Rule, { valid }: Circumstances): boolean {
  if (rule.validators.length > 0)
    return valid === true && (writer === "allowed" || rule.writers.length === 0);
  return writer === "allowed";
}

const followsContent: readonly Field[] = ["content", "mtime", "inode"];

/** What the class lets happen all day long is taken out of the change. */
function withoutExpected(change: Change, rule: Rule, facts: Circumstances): Change | undefined {
  if (change.kind !== "modified" || !isFree(change, rule, facts)) return change;
  const fields = change.fields.filter((field) => !followsContent.includes(field));
  return fields.length > 0 ? { ...change, fields } : undefined;
}

/** True when the content of this file may be what it now is. */
function isFree(change: Change & { kind: "modified" }, rule: Rule, facts: Circumstances): boolean {
  switch (rule.class) {
    case "volatile":
      return true;
    case "sealed":
      return (
        change.after.type === "file" &&
        (change.before.sha256 === undefined || isNewest(change.path, facts.siblings))
      );
    case "append-only":
      return change.after.type === "file" && !change.fields.includes("inode") && grew(change);
    case "immutable":
    case "rotates":
      return false;
  }
}

function grew({ before, after }: Change & { kind: "modified" }): boolean {
  return (
    before.sha256 !== undefined &&
    after.size >= before.size &&
    after.prefix?.size === before.size &&
    after.prefix.sha256 === before.sha256
  );
}

/** Sealed files come and go in the order of their names: the newest appears, the oldest is removed. */
function isExpectedByClass(change: Change, rule: Rule, { siblings }: Circumstances): boolean {
  if (rule.class !== "sealed") return false;
  if (change.kind === "created" || change.kind === "renamed")
    return change.after.type === "file" && isNewest(change.path, siblings);
  const name = nameOf(change.path);
  return change.kind === "deleted" && siblings.length > 0 && siblings.every((one) => one > name);
}

function isNewest(path: string, siblings: readonly string[]): boolean {
  const name = nameOf(path);
  return siblings.every((one) => one <= name);
}

const slight: readonly Field[] = ["mtime", "inode", "links"];

/** Only the time, the inode or the link count changed: low at most. */
function severityOf(change: Change, severity: Severity): Severity {
  const isSlight = change.kind === "modified" && change.fields.every((one) => slight.includes(one));
  return isSlight && isAtLeast(severity, "low") ? "low" : severity;
}
