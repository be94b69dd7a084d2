import { likeliestLast } from "../core/change/actors.ts";
import type { Change, JudgedChange } from "../core/change/change.ts";
import type { Actor, EngineName } from "../core/change/hint.ts";
import { judge } from "../core/change/judge.ts";
import { differences } from "../core/change/compare.ts";
import { copiedFile, fileBeside, givesRights, packageManagers } from "../core/change/temporary.ts";
import { isRestored } from "../core/change/restored.ts";
import type { Circumstances, Judgement } from "../core/change/judge.ts";
import { isBelow, nameOf, parentOf, showPath } from "../core/path.ts";
import { moreSevere } from "../core/policy/rule.ts";
import type { Rule } from "../core/policy/rule.ts";
import { manifestDirectories } from "./approved/writer-identity.ts";
import { siblingsOf } from "./look.ts";
import type { NodeView } from "./look.ts";

/** Actors and time, as the hints of a path gave them. */
export interface Origin {
  readonly at: number;
  /** Absent in a check, which has no hints. */
  readonly engine?: EngineName;
  readonly actors: readonly Actor[];
  /** Other names of the file (hard links) by which it was changed. */
  readonly through?: readonly string[];
  readonly offline: boolean;
}

/** Judges a change by the policy and its origin. Undefined: nothing to report. */
export function judgeChange(
  change: Change,
  origin: Origin,
  view: NodeView,
): JudgedChange | undefined {
  const rule = ruleOf(change, view);
  if (!rule) return undefined;
  const worstCase = worst(change, rule, {
    ...namesAround(change, rule, view),
    actors: origin.actors,
    view,
  });
  if (!worstCase) return undefined;
  const { verdict, severity } = worstCase.judgement;
  const { approved } = view;
  const isUnexpected = verdict === "unexpected";
  const restored = isUnexpected && approved && isRestored(change, rule.class, approved);
  const temporary =
    isUnexpected && temporaryMeaning(change, { ...origin, worst: worstCase.actor }, view);
  return {
    change: worstCase.judgement.change,
    rule: rule.id,
    class: rule.class,
    severity: restored || temporary ? "info" : severity,
    verdict,
    ...(worstCase.judgement.byAllowedWriter && { byAllowedWriter: true }),
    meaning: [...throughNames(origin), ...(temporary ? [temporary] : [])],
    attack: rule.attack,
    why: rule.why,
    at: origin.at,
    ...(origin.engine && { engine: origin.engine }),
    ...(worstCase.actor && { actor: worstCase.actor }),
    ...(origin.offline && { offline: true }),
    ...(restored && { restored: true }),
  };
}

/** A kubelet may run what it finds there, whatever its name and however short it lives. */
function isRunByKubelet(path: string): boolean {
  return manifestDirectories.some((directory) => isBelow(path, directory));
}

/** What a change under a temporary name beside an approved file means, if it needs no alarm. */
function temporaryMeaning(
  change: Change,
  { actors, worst: actor }: Pick<Origin, "actors"> & { readonly worst: Actor | undefined },
  view: NodeView,
): string | undefined {
  const { approved } = view;
  if (!approved || isRunByKubelet(change.path)) return undefined;
  const copied = copiedFile(change, approved) ?? unpackedFile(change, actor, view);
  if (copied !== undefined) return `a copy of ${showPath(copied).text} under a temporary name`;
  const prepared = preparedFile(change, actors, view);
  return (
    prepared &&
    `a program that may write ${showPath(prepared).text} prepares it under a temporary name`
  );
}

/** The approved file beside which a package manager, and no other program of that name, unpacked one for a moment. */
function unpackedFile(
  change: Change,
  actor: Actor | undefined,
  view: NodeView,
): string | undefined {
  if (change.kind !== "transient" || change.before || actor?.isProven !== true) return undefined;
  const file = fileBeside(change.path);
  const [approved, known] = [file && view.approved?.(file), file && view.known.get(file)];
  if (file === undefined || !approved || !known || differences(approved, known).length > 0)
    return undefined;
  const isManager =
    view.isAllowedWriter?.(actor, packageManagers) === true &&
    view.isApprovedExecutable?.(actor) === true;
  return isManager ? file : undefined;
}

/** The file that its allowed writer prepares under a temporary name beside it: ldconfig writes ld.so.cache~ first. */
function preparedFile(
  change: Change,
  actors: readonly Actor[],
  view: NodeView,
): string | undefined {
  const file = fileBeside(change.path);
  const rule = file === undefined ? undefined : view.index.find(file)?.rule;
  if (!rule || actors.length === 0 || view.approved?.(change.path) || !isPlain(change))
    return undefined;
  const isByWriter = actors.every((actor) => {
    const facts = { siblings: [], actor, ...identityOf(actor, rule, view) };
    return judge(change, rule, facts)?.byAllowedWriter === true;
  });
  return isByWriter ? file : undefined;
}

/** It made, changed or removed a regular file that gives no rights. */
function isPlain(change: Change): boolean {
  switch (change.kind) {
    case "created":
    case "modified":
      return change.after.type === "file" && !givesRights(change.after);
    case "deleted":
      return change.before.type === "file";
    case "transient":
      return true;
    case "renamed":
    case "mounted":
    case "unmounted":
    case "unreadable":
      return false;
  }
}

function throughNames({ through = [] }: Origin): readonly string[] {
  return through.map((name) => `changed through its other name ${showPath(name).text}`);
}

type NamesAround = Pick<Circumstances, "siblings" | "formerSiblings" | "fromClass">;

/** The names beside which a change of names is judged. */
function namesAround(change: Change, rule: Rule, view: NodeView): NamesAround {
  const from = change.kind === "renamed" ? view.index.find(change.from)?.rule.class : undefined;
  const fromClass = from !== undefined && { fromClass: from };
  if (rule.class !== "sealed") return { siblings: [], ...fromClass };
  const siblings = siblingsOf(change.path, rule, view);
  return { siblings, formerSiblings: formerSiblingsOf(change.path, rule, view), ...fromClass };
}

/** Other files under the same rule that were known in the directory. */
function formerSiblingsOf(path: string, rule: Rule, { known, index }: NodeView): readonly string[] {
  const dir = parentOf(path);
  return [...known.below(dir)]
    .filter((one) => one.path !== path && parentOf(one.path) === dir)
    .filter((one) => index.find(one.path)?.rule.id === rule.id)
    .map((one) => nameOf(one.path));
}

/** Several processes touched the file: report one that is not allowed, else the likeliest author. */
function worst(
  change: Change,
  rule: Rule,
  { actors, view, ...names }: NamesAround & { actors: readonly Actor[]; view: NodeView },
): { judgement: Judgement; actor?: Actor } | undefined {
  if (actors.length === 0) {
    const judgement = judge(change, rule, names);
    return judgement && { judgement };
  }
  const all = likeliestLast(actors, change).flatMap((actor) => {
    const judgement = judge(change, rule, { ...names, actor, ...identityOf(actor, rule, view) });
    return judgement ? [{ judgement, actor }] : [];
  });
  return all.findLast(({ judgement }) => judgement.verdict === "unexpected") ?? all.at(-1);
}

/** Not looked up where the rule names no writer. */
function identityOf(
  actor: Actor,
  { writers }: Rule,
  view: NodeView,
): Pick<Circumstances, "isApprovedExecutable" | "isAllowedWriter" | "isInStaticPod"> {
  if (writers.length === 0) return {};
  const isApprovedExecutable = view.isApprovedExecutable?.(actor);
  const isAllowedWriter = view.isAllowedWriter?.(actor, writers);
  const isInStaticPod = actor.container && view.isInStaticPod?.(actor);
  return {
    ...(isInStaticPod !== undefined && { isInStaticPod }),
    ...(isApprovedExecutable !== undefined && { isApprovedExecutable }),
    ...(isAllowedWriter !== undefined && { isAllowedWriter }),
  };
}

/**
 * A rename is judged by the more severe rule of its two names; a directory or a mount by the most severe rule of what
 * it carries or hides.
 */
function ruleOf(change: Change, { index, known }: NodeView): Rule | undefined {
  const own = index.find(change.path)?.rule;
  switch (change.kind) {
    case "renamed": {
      const names = [change.from];
      for (const { path } of change.count === undefined ? [] : known.below(change.from))
        names.push(path, change.path + path.slice(change.from.length));
      return names.map((name) => index.find(name)?.rule).reduce(graverRule, own);
    }
    case "mounted":
    case "unmounted":
      return index.inside(change.path).reduce<Rule | undefined>(graverRule, own);
    case "created":
    case "deleted":
    case "modified":
    case "transient":
    case "unreadable":
      return own;
  }
}

function graverRule(a: Rule | undefined, b: Rule | undefined): Rule | undefined {
  if (!a || !b) return a ?? b;
  return moreSevere(a.severity, b.severity) === a.severity ? a : b;
}
