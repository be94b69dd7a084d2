import { isBriefAttribute, slight } from "./change.ts";
import type { Change, Field, Verdict } from "./change.ts";
import type { Actor, Step } from "./hint.ts";
import { nameOf } from "../path.ts";
import { isAtLeast } from "../policy/rule.ts";
import type { FileClass, Rule, Severity } from "../policy/rule.ts";

/** Facts about a change beside the change itself. */
export interface Circumstances {
  readonly actor?: Actor;
  /** The actor ran the approved file of that name. */
  readonly isApprovedExecutable?: boolean;
  /** The actor's executable is one of the rule's writers, under any name. Undefined: compare names. */
  readonly isAllowedWriter?: boolean;
  /** The actor runs in a static pod of this node whose manifest is approved. */
  readonly isInStaticPod?: boolean;
  /** Other files of the directory under the same rule, for class sealed. */
  readonly siblings: readonly string[];
  /** Those that were there before. */
  readonly formerSiblings?: readonly string[];
  /** The rule for the old name of a rename. */
  readonly fromClass?: FileClass;
  /** The rule's validators ran and all held. Undefined: it has none, or they could not run. */
  readonly valid?: boolean;
}

export interface Judgement {
  readonly change: Change;
  readonly severity: Severity;
  readonly verdict: Verdict;
  readonly byAllowedWriter?: true;
}

/**
 * Whether the rule allows a change. Undefined: the class expects it, so it is not reported. An unknown actor is never
 * an allowed writer; a known actor that is not listed is never allowed, whatever the class.
 */
export function judge(change: Change, rule: Rule, facts: Circumstances): Judgement | undefined {
  const writer = judgeWriter(change, rule, facts);
  const rest = writer === "stranger" ? change : withoutExpected(change, rule, facts);
  if (!rest) return undefined;
  if (writer !== "stranger" && rest.kind !== "mounted" && rest.kind !== "unreadable") {
    const approved = { change: rest, severity: "info", verdict: "approved" } as const;
    if (isExpectedByClass(rest, rule, facts)) return approved;
    if (isAllowed(writer, rule, facts)) return { ...approved, byAllowedWriter: true };
  }
  const isTrifle = isBriefAttribute(rest) && isByUnprovenWriter(writer, rule, facts);
  const severity = isTrifle ? "info" : severityOf(rest, rule.severity);
  return { change: rest, severity, verdict: "unexpected" };
}

/** A step that is never reported: the class allows any content, and the rule names no writer. */
export function isFreeStep(step: Step, rule: Rule): boolean {
  const isOfContent = step === "modified" || step === "closed";
  return isOfContent && rule.class === "volatile" && rule.writers.length === 0;
}

type Writer = "allowed" | "stranger" | "unknown";

/** By path and identity: a copy, a bind mount or an altered file of that name does not count. */
function judgeWriter(change: Change, rule: Rule, facts: Circumstances): Writer {
  const { actor, isApprovedExecutable, isAllowedWriter } = facts;
  if (rule.writers.length === 0 || !actor) return "unknown";
  // Of several programs one may be no allowed writer.
  if (actor.candidates !== undefined) return "stranger";
  if (actor.exe === undefined) return "unknown";
  if (!(isAllowedWriter ?? rule.writers.includes(actor.exe))) return "stranger";
  if (actor.container !== undefined && !mayBeInContainer(rule, facts)) return "stranger";
  if (!isProvenWriter(change, actor)) return "unknown";
  if (actor.container !== undefined) return "allowed";
  if (isApprovedExecutable === undefined) return "unknown";
  return isApprovedExecutable ? "allowed" : "stranger";
}

function mayBeInContainer({ containerWriters }: Rule, { isInStaticPod }: Circumstances): boolean {
  return containerWriters === "static" ? isInStaticPod === true : containerWriters;
}

/** A process that only closed the file, or only changed attributes, need not have written its content. */
function isProvenWriter(change: Change, { isProven, only }: Actor): boolean {
  if (isProven !== true) return false;
  return only === undefined || !hasNewContent(change, only);
}

function hasNewContent(change: Change, only: NonNullable<Actor["only"]>): boolean {
  switch (change.kind) {
    case "modified":
    case "renamed":
      return only === "closed" || change.fields.includes("content");
    case "created":
      return true;
    case "deleted":
    case "transient":
    case "mounted":
    case "unmounted":
    case "unreadable":
      return false;
  }
}

function isAllowed(writer: Writer, rule: Rule, { valid }: Circumstances): boolean {
  if (rule.validators.length > 0)
    return valid === true && (writer === "allowed" || rule.writers.length === 0);
  return writer === "allowed";
}

type Contents = Change & { readonly kind: "modified" | "renamed" };

const followsContent: readonly Field[] = ["content", "mtime", "inode"];

/** Removes from a change what the class allows. */
function withoutExpected(change: Change, rule: Rule, facts: Circumstances): Change | undefined {
  if (!isOfContents(change, facts) || !isFree(change, rule, facts)) return change;
  const fields = change.fields.filter((field) => !followsContent.includes(field));
  return fields.length > 0 ? { ...change, fields } : undefined;
}

/** The file's own modification, or its replacement by a fresh file beside it. */
function isOfContents(change: Change, { fromClass }: Circumstances): change is Contents {
  if (change.kind === "renamed") return fromClass === "volatile" && replaces(change);
  return change.kind === "modified";
}

/** Another file had the name before. */
function replaces({ fields }: Contents): boolean {
  return fields.includes("inode");
}

/** True when the file's content is allowed. A replaced directory has no content and is always reported. */
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

/** Sealed files come and go in the order of their names: newer ones appear, the oldest is removed. */
function isNextInOrder(change: Change, facts: Circumstances): boolean {
  const { siblings, formerSiblings = siblings } = facts;
  const name = nameOf(change.path);
  if (change.kind === "deleted") return siblings.length > 0 && siblings.every((one) => one > name);
  if (change.kind !== "created" && change.kind !== "renamed") return false;
  const isMade = change.kind === "created" || (facts.fromClass === "volatile" && !replaces(change));
  return isMade && change.after.type === "file" && formerSiblings.every((one) => one < name);
}

/** Temporary files under a rule of severity info: they come, go and are renamed. */
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

/** A program that may write here, without proof: dpkg sets mode and owner of each file that it unpacks. */
function isByUnprovenWriter(writer: Writer, rule: Rule, facts: Circumstances): boolean {
  const { actor, isAllowedWriter } = facts;
  if (writer !== "unknown" || actor?.exe === undefined) return false;
  return isAllowedWriter ?? rule.writers.includes(actor.exe);
}

/** Only time, inode or link count changed, or an attribute briefly or to the same value: low at most. */
function severityOf(change: Change, severity: Severity): Severity {
  const isSlight =
    (change.kind === "modified" && change.fields.every((one) => slight.includes(one))) ||
    isBriefAttribute(change);
  return isSlight && isAtLeast(severity, "low") ? "low" : severity;
}
