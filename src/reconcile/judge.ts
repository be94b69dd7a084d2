import type { Change, JudgedChange } from "../core/change.ts";
import type { Mount } from "../core/mount.ts";
import type { Actor, EngineName } from "../core/hint.ts";
import { judge } from "../core/judge.ts";
import type { Circumstances, Judgement } from "../core/judge.ts";
import { isBelow, nameOf, parentOf, showPath } from "../core/path.ts";
import { graver } from "../core/rule.ts";
import type { Match, Rule, RuleIndex } from "../core/rule.ts";
import { siblingsOf } from "./look.ts";
import type { Eyes } from "./look.ts";

/** Who and when, as the hints of a path told. */
export interface Origin {
  readonly at: number;
  /** Absent: a check, which nobody hinted. */
  readonly engine?: EngineName;
  readonly actors: readonly Actor[];
  /** Other names of the file (hard links) by which it was changed. */
  readonly through?: readonly string[];
  readonly offline: boolean;
}

/** What the policy says of a change, with what the hints know of its origin. Undefined: nothing to report. */
export function judgeChange(change: Change, origin: Origin, eyes: Eyes): JudgedChange | undefined {
  const match = matchOf(change, eyes);
  if (!match) return undefined;
  const { rule } = match;
  const told = worst(change, rule, {
    ...namesAround(change, rule, eyes),
    actors: origin.actors,
    eyes,
  });
  if (!told) return undefined;
  return {
    change: told.judgement.change,
    rule: rule.id,
    class: rule.class,
    severity: told.judgement.severity,
    verdict: told.judgement.verdict,
    meaning: (origin.through ?? []).map(
      (name) => `changed through its other name ${showPath(name).text}`,
    ),
    attack: rule.attack,
    why: rule.why,
    at: origin.at,
    ...(origin.engine && { engine: origin.engine }),
    ...(told.actor && { actor: told.actor }),
    ...(origin.offline && { offline: true }),
  };
}

type NamesAround = Pick<Circumstances, "siblings" | "formerSiblings" | "fromClass">;

/** What a change of names is held against. */
function namesAround(change: Change, rule: Rule, eyes: Eyes): NamesAround {
  const from = change.kind === "renamed" ? eyes.index.find(change.from)?.rule.class : undefined;
  const fromClass = from !== undefined && { fromClass: from };
  if (rule.class !== "sealed") return { siblings: [], ...fromClass };
  const siblings = siblingsOf(change.path, rule, eyes);
  return { siblings, formerSiblings: formerSiblingsOf(change.path, rule, eyes), ...fromClass };
}

/** Names of the other files under the same rule that were known in the directory. */
function formerSiblingsOf(path: string, rule: Rule, { known, index }: Eyes): readonly string[] {
  const dir = parentOf(path);
  return [...known.below(dir)]
    .filter((one) => one.path !== path && parentOf(one.path) === dir)
    .filter((one) => index.find(one.path)?.rule.id === rule.id)
    .map((one) => nameOf(one.path));
}

/** When several touched a file, the one that may not is told; else the last. */
function worst(
  change: Change,
  rule: Rule,
  { actors, eyes, ...names }: NamesAround & { actors: readonly Actor[]; eyes: Eyes },
): { judgement: Judgement; actor?: Actor } | undefined {
  if (actors.length === 0) {
    const judgement = judge(change, rule, names);
    return judgement && { judgement };
  }
  const all = actors.flatMap((actor) => {
    const judgement = judge(change, rule, { ...names, actor, ...identityOf(actor, rule, eyes) });
    return judgement ? [{ judgement, actor }] : [];
  });
  return all.findLast(({ judgement }) => judgement.verdict === "unexpected") ?? all.at(-1);
}

/** Of no use, and not looked up, where the rule names no writer. */
function identityOf(
  actor: Actor,
  { writers }: Rule,
  eyes: Eyes,
): Pick<Circumstances, "isGenuine" | "isListed"> {
  if (writers.length === 0) return {};
  const isGenuine = eyes.isGenuine?.(actor);
  const isListed = eyes.isListed?.(actor, writers);
  return {
    ...(isGenuine !== undefined && { isGenuine }),
    ...(isListed !== undefined && { isListed }),
  };
}

/** A rename is judged by the graver rule of its two names, a directory's or a mount by the gravest that it carries or hides. */
function matchOf(change: Change, { index, known }: Eyes): Match | undefined {
  const match = index.find(change.path);
  switch (change.kind) {
    case "renamed": {
      const below = change.count === undefined ? [] : known.below(change.from);
      let gravest = graverMatch(match, index.find(change.from));
      for (const { path } of below) {
        const moved = change.path + path.slice(change.from.length);
        gravest = graverMatch(gravest, graverMatch(index.find(path), index.find(moved)));
      }
      return gravest;
    }
    case "mounted":
    case "unmounted":
      return rulesBelow(change.mount, index).reduce<Match | undefined>(graverMatch, match);
    case "created":
    case "deleted":
    case "modified":
    case "transient":
    case "unreadable":
      return match;
  }
}

function rulesBelow(mount: Mount, index: RuleIndex): readonly Match[] {
  return index.roots
    .filter((root) => root === mount.path || isBelow(root, mount.path))
    .map((root) => index.find(root))
    .filter((match) => match !== undefined);
}

function graverMatch(a: Match | undefined, b: Match | undefined): Match | undefined {
  if (!a || !b) return a ?? b;
  return graver(a.rule.severity, b.rule.severity) === a.rule.severity ? a : b;
}
