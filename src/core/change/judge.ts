import type { Change, Field, Verdict } from "./change.ts";
import type { Actor, Step } from "./hint.ts";
import { nameOf } from "../path.ts";
import { isAtLeast } from "../policy/rule.ts";
import type { FileClass, Rule, Severity } from "../policy/rule.ts";

/** What is known beside the change itself. */
export interface Circumstances {
  readonly actor?: Actor;
  /** The actor's executable is the node's own file of that name, and is as it was approved. */
  readonly isApprovedExecutable?: boolean;
  /** The actor's executable is one of the rule's writers, under whichever name. Undefined: the names are compared. */
  readonly isAllowedWriter?: boolean;
  /** Names of the other files that are in the directory under the same rule: for class sealed. */
  readonly siblings: readonly string[];
  /** Names of those that were there before. */
  readonly formerSiblings?: readonly string[];
  /** Of the rule for the old name of a rename. */
  readonly fromClass?: FileClass;
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

/** A step of which nothing will ever be told, whoever takes it: the class lets the content change, and no writer is named. */
export function isFreeStep(step: Step, rule: Rule): boolean {
  const isOfContent = step === "modified" || step === "closed";
  return isOfContent && rule.class === "volatile" && rule.writers.length === 0;
}

type Writer = "allowed" | "stranger" | "unknown";

/** By path and by identity: a copy, a bind mount or an altered file of that name is a stranger. */
function judgeWriter(
  rule: Rule,
  { actor, isApprovedExecutable, isAllowedWriter }: Circumstances,
): Writer {
  if (rule.writers.length === 0 || actor?.exe === undefined) return "unknown";
  if (!(isAllowedWriter ?? rule.writers.includes(actor.exe))) return "stranger";
  if (actor.container !== undefined) return rule.containerWriters ? "allowed" : "stranger";
  if (isApprovedExecutable === undefined) return "unknown";
  return isApprovedExecutable ? "allowed" : "stranger";
}

function isAllowed(writer: Writer, rule: Rule, { valid }: Circumstances): boolean {
  if (rule.validators.length > 0)
    return valid === true && (writer === "allowed" || rule.writers.length === 0);
  return writer === "allowed";
}

type Contents = Change & { readonly kind: "modified" | "renamed" };

const followsContent: readonly Field[] = ["content", "mtime", "inode"];

/** What the class lets happen all day long is taken out of the change. */
function withoutExpected(change: Change, rule: Rule, facts: Circumstances): Change | undefined {
  if (!isOfContents(change, facts) || !isFree(change, rule, facts)) return change;
  const fields = change.fields.filter((field) => !followsContent.includes(field));
  return fields.length > 0 ? { ...change, fields } : undefined;
}

/** A file's own modification, or its replacement by one that was made beside it to take its place. */
function isOfContents(change: Change, { fromClass }: Circumstances): change is Contents {
  if (change.kind === "renamed") return fromClass === "volatile" && replaces(change);
  return change.kind === "modified";
}

/** The name was another file's before. */
function replaces({ fields }: Contents): boolean {
  return fields.includes("inode");
}

/** True when the content of this file may be what it now is. A directory has none: another in its place is told. */
function isFree(change: Contents, rule: Rule, facts: Circumstances): boolean {
  switch (rule.class) {
    case "volatile":
      return change.after.type !== "directory";
    case "sealed":
      return (
        change.after.type === "file" &&
        !replaces(change) &&
        (change.before.sha256 === undefined || isNewest(change.path, facts.siblings))
      );
    case "append-only":
      return change.after.type === "file" && !replaces(change) && grew(change);
    case "immutable":
    case "rotates":
      return false;
  }
}

function grew({ before, after }: Contents): boolean {
  return (
    before.sha256 !== undefined &&
    after.size >= before.size &&
    after.prefix?.size === before.size &&
    after.prefix.sha256 === before.sha256
  );
}

function isExpectedByClass(change: Change, rule: Rule, facts: Circumstances): boolean {
  switch (rule.class) {
    case "sealed":
      return isNextInOrder(change, facts);
    case "volatile":
      return rule.severity === "info" && isOfNames(change);
    case "immutable":
    case "rotates":
    case "append-only":
      return false;
  }
}

/** Sealed files come and go in the order of their names: newer ones than there were appear, the oldest is removed. */
function isNextInOrder(change: Change, facts: Circumstances): boolean {
  const { siblings, formerSiblings = siblings } = facts;
  const name = nameOf(change.path);
  if (change.kind === "deleted") return siblings.length > 0 && siblings.every((one) => one > name);
  if (change.kind !== "created" && change.kind !== "renamed") return false;
  const isMade = change.kind === "created" || (facts.fromClass === "volatile" && !replaces(change));
  return isMade && change.after.type === "file" && formerSiblings.every((one) => one < name);
}

/** Of files that are made for moments, which only info says: they come, go and are renamed. */
function isOfNames(change: Change): boolean {
  switch (change.kind) {
    case "created":
    case "renamed":
      return change.after.type === "file";
    case "deleted":
    case "transient":
      return true;
    case "modified":
    case "mounted":
    case "unmounted":
    case "unreadable":
      return false;
  }
}

function isNewest(path: string, siblings: readonly string[]): boolean {
  const name = nameOf(path);
  return siblings.every((one) => one <= name);
}

const slightSteps: readonly Step[] = ["attributes", "linked"];
const slight: readonly Field[] = ["mtime", "inode", "links"];

/** Only the time, the inode or the link count changed, or an attribute for a moment (or to what it was): low at most. */
function severityOf(change: Change, severity: Severity): Severity {
  const isSlight =
    (change.kind === "modified" && change.fields.every((one) => slight.includes(one))) ||
    (change.kind === "transient" && change.steps.every((one) => slightSteps.includes(one)));
  return isSlight && isAtLeast(severity, "low") ? "low" : severity;
}
