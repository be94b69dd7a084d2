import { closure } from "../core/closure.ts";
import type { Change, JudgedChange } from "../core/change/change.ts";
import { compare } from "../core/change/compare.ts";
import type { Look } from "../core/change/compare.ts";
import type { Actor, Hint } from "../core/change/hint.ts";
import { isSameInode } from "../core/change/observation.ts";
import { withoutShown } from "../core/change/beneath.ts";
import { pair } from "../core/change/pair.ts";
import type { RenameFact } from "../core/change/pair.ts";
import { nameOf, parentOf } from "../core/path.ts";
import { transient } from "../core/change/transient.ts";
import { Evidence, isFromEvent } from "./evidence.ts";
import { joinHints } from "./hints.ts";
import type { PathHints } from "./hints.ts";
import { judgeChange } from "./judge.ts";
import type { Origin } from "./judge.ts";
import { Looks } from "./look.ts";
import type { NodeView } from "./look.ts";
import { scan } from "./changed-below.ts";
import { withPrograms } from "./changing-program.ts";

type Hints = ReadonlyMap<string, PathHints>;

export type MountHint = Extract<Hint, { kind: "mounted" | "unmounted" }>;

/** The changes of one transaction. */
export interface Group {
  readonly paths: readonly PathHints[];
  readonly mounts: readonly MountHint[];
  /** Mount points whose filesystem came or went shortly before, these mounts' own included. */
  readonly mountPoints?: readonly string[];
  /** The changes happened while the agent was not running. */
  readonly offline: boolean;
}

interface Parts {
  readonly view: NodeView;
  /** Stores observations and alerts in one transaction. */
  readonly commit: (looks: readonly Look[], changes: readonly JudgedChange[]) => void;
  readonly later?: Later;
  readonly now: () => number;
}

/** Asks for hints that came since the group was taken: a look can see a change before its hint arrives. */
export interface Later {
  /** "taken": these hints leave the queue and join the group. "noted": they stay in the queue. */
  readonly ask: (paths: readonly string[], use: "taken" | "noted") => Promise<readonly PathHints[]>;
  /** How often the group may be looked at again. */
  readonly rounds: number;
}

/** hint -> observe -> compare -> pair -> verdict -> one transaction. Returns the reported changes. */
export async function reconcile(group: Group, parts: Parts): Promise<readonly JudgedChange[]> {
  const { looks, hints } = await lookAtAll(group, parts);
  await parts.view.learnPrograms?.([...hints.values()].flatMap(({ actors }) => actors));
  const seen = looks.all();
  const evidence = new Evidence(hints);
  const facts = renameFacts(seen, hints);
  const paired = withoutShown(pair(seen, facts), group.mountPoints ?? []);
  const changes = [
    ...group.mounts.map((hint) => mountChange(hint, looks, parts.view)),
    ...paired,
    ...transients(seen, evidence, { facts, changes: paired }),
  ];
  const origin = origins(group, evidence, parts.now());
  const removers = removersIn({ looks, hints }, facts);
  const whose = (change: Change): Origin => {
    const own = origin(change);
    const known = { ...own, actors: [...own.actors, ...removers(change)] };
    if (known.actors.length > 0)
      return { ...known, actors: withPrograms(change, known.actors, parts.view) };
    if (group.offline) return known;
    const maker = makerOf(change, looks, parts.view);
    return maker ? { ...known, engine: "fanotify", actors: [maker] } : known;
  };
  const judged = changes
    .map((change) => judgeChange(change, whose(change), parts.view))
    .filter((one) => one !== undefined);
  parts.commit(seen, judged);
  return judged;
}

/** Looks until no hint is left that is older than a look: only then is the actor of a change known. */
async function lookAtAll(group: Group, { view, later }: Parts): Promise<Looked> {
  let hints: Hints = new Map(group.paths.map((one) => [one.path, one]));
  for (let round = 0; ; round += 1) {
    const looks = new Looks(view);
    for (const hint of hints.values()) await lookAround(hint, looks, view);
    await looks.completeAbove();
    const changed = looks.all().filter((look) => compare(look) !== undefined);
    if (!later || group.offline || changed.length === 0) return { looks, hints };
    const isLast = round >= later.rounds;
    const evidence = new Evidence(hints);
    const paths = [...new Set(changed.flatMap(({ path }) => [...evidence.namesOf(path)]))];
    const news = await later.ask(paths, isLast ? "noted" : "taken");
    if (isLast) return { looks, hints: noting(hints, news) };
    if (news.length === 0) return { looks, hints };
    hints = joinHints([...hints.values(), ...news]);
  }
}

/** Part of it may have happened after the look: keep the actors, drop the steps. */
function noting(hints: Hints, news: readonly PathHints[]): Hints {
  const all = new Map(hints);
  for (const one of news) {
    const own = hints.get(one.path);
    if (own && isFromEvent(own))
      all.set(one.path, { ...own, actors: [...one.actors, ...own.actors] });
    else all.set(one.path, { ...one, steps: own?.steps ?? ["changed"], from: [] });
  }
  return all;
}

interface Looked {
  readonly looks: Looks;
  readonly hints: Hints;
}

/** A file renamed and then deleted is reported under its old path; the actor is the process that deleted it. */
function removersIn({ looks, hints }: Looked, facts: readonly RenameFact[]) {
  const onwards = Map.groupBy(facts, ({ from }) => from);
  const isGone = ({ to }: RenameFact): boolean => {
    const look = looks.get(to);
    return look !== undefined && !look.before && !look.after;
  };
  return (change: Change): readonly Actor[] => {
    if (change.kind !== "deleted") return [];
    const names = closure([change.path], (name) =>
      (onwards.get(name) ?? []).filter(isGone).map(({ to }) => to),
    );
    names.delete(change.path);
    return [...names].flatMap((name) => hints.get(name)?.actors ?? []);
  };
}

async function lookAround(hint: PathHints, looks: Looks, view: NodeView): Promise<void> {
  await looks.at(hint.path);
  for (const from of hint.from) await looks.at(from);
  const look = looks.get(hint.path);
  if (hint.steps.includes("changed") && look?.after?.type === "directory")
    await looks.entriesOf(hint.path);
  // While a directory had another name, hints for its entries carried that name.
  if (hint.steps.includes("renamed") && look && isSameDirectory(look))
    for await (const path of scan(hint.path, view)) await looks.at(path);
}

function isSameDirectory({ before, after }: Look): boolean {
  return before?.type === "directory" && after !== undefined && isSameInode(before, after);
}

/** The mount, and what was at its place before. */
export function mountChange(
  { kind, mount }: MountHint,
  looks: Pick<Looks, "get">,
  { known }: Pick<NodeView, "known">,
): Change {
  const { path } = mount;
  const before = looks.get(path)?.before ?? known.get(path);
  return { kind, path, mount, ...(before && { before }) };
}

/**
 * Renames as the kernel reported them. For an engine without renames, a name that appeared briefly beside a replaced
 * file must be its source.
 */
function renameFacts(looks: readonly Look[], hints: Hints): readonly RenameFact[] {
  const reported = [...hints.values()].flatMap(({ path, from }) =>
    from.map((one) => ({ from: one, to: path })),
  );
  const isFromKernel = (path: string): boolean => hints.get(path)?.engine === "fanotify";
  const cameAndWent = (path: string): boolean =>
    !isFromKernel(path) && (hints.get(path)?.steps ?? []).some((step) => step !== "changed");
  const vanished = looks.filter(
    ({ path, before, after }) =>
      !before && !after && cameAndWent(path) && !reported.some((fact) => fact.from === path),
  );
  const guessed = looks.flatMap(({ path, before, after }) => {
    if (!before || !after || before.ino === after.ino || isFromKernel(path)) return [];
    if (reported.some((fact) => fact.to === path)) return [];
    const beside = vanished.filter((one) => parentOf(one.path) === parentOf(path));
    return beside.length === 1 && beside[0] ? [{ from: beside[0].path, to: path }] : [];
  });
  return [...reported, ...guessed];
}

interface ReportedNames {
  readonly facts: readonly RenameFact[];
  readonly changes: readonly Change[];
}

/** Changes that only the kernel saw. A change reports the names that led to its path. */
function transients(
  looks: readonly Look[],
  evidence: Evidence,
  { facts, changes }: ReportedNames,
): readonly Change[] {
  const names = changes.flatMap(namesOf).flatMap((name) => [...evidence.formerNames(name)]);
  const reported = withOtherNames(new Set(names), facts);
  const renamed = new Set(facts.flatMap(({ from, to }) => [from, to]));
  return looks.flatMap((look) => {
    const steps = evidence.stepsAt(look.path);
    if (!steps || reported.has(look.path) || compare(look)) return [];
    // The middle name of two renames: the change reports the first and the last one.
    const isPassed =
      !look.before && !steps.some((step) => step === "created" || step === "deleted");
    if (isPassed && renamed.has(look.path)) return [];
    const change = transient(look, steps);
    return change ? [change] : [];
  });
}

function namesOf(change: Change): readonly string[] {
  return change.kind === "renamed" ? [change.path, change.from] : [change.path];
}

/** These names and all names that renames join with them. */
function withOtherNames(
  names: ReadonlySet<string>,
  facts: readonly RenameFact[],
): ReadonlySet<string> {
  const onwards = Map.groupBy(facts, ({ from }) => from);
  const backwards = Map.groupBy(facts, ({ to }) => to);
  return closure(names, (name) => [
    ...(onwards.get(name) ?? []).map(({ to }) => to),
    ...(backwards.get(name) ?? []).map(({ from }) => from),
  ]);
}

function isOf(change: Change, { kind, mount }: MountHint): boolean {
  return change.kind === kind && change.mount === mount;
}

/** Excludes a file's own former names, and files that never had a name (O_TMPFILE). */
function namesThrough({ through = [], from }: PathHints): readonly string[] {
  return through.filter((name) => !from.includes(name) && !/^#\d+$/.test(nameOf(name)));
}

/** A file made before its directory was watched has no hints; the exec history may know its maker. */
function makerOf(
  change: Change,
  looks: Looks,
  { makerOf: ask, known, observer }: NodeView,
): Actor | undefined {
  if (change.kind !== "created" || !ask) return undefined;
  const above = parentOf(change.path);
  // A new directory that no rule watches itself, such as a home, may hold what a rule watches.
  const directory =
    looks.get(above)?.after ?? known.get(above) ?? observer.observe(above, { hash: false });
  return directory && ask(change.after, directory);
}

/** Actors and time: of a mount's own hint, of the path's hints, of the old name's, else of this look. */
function origins(group: Group, evidence: Evidence, now: number): (change: Change) => Origin {
  return (change) => {
    const mount = group.mounts.find((one) => isOf(change, one));
    if (mount) return { at: mount.at, engine: mount.engine, actors: [], offline: group.offline };
    const ino = inodeOf(change);
    const side = change.kind === "deleted" ? "before" : "after";
    const own = evidence.of({ path: change.path, ino }, side);
    const other =
      change.kind === "renamed" ? evidence.of({ path: change.from, ino }, "before") : undefined;
    const hint = own ?? other;
    return {
      at: hint?.lastAt ?? now,
      engine: hint?.engine ?? "sweep",
      // The renaming process comes last, because another may touch the old name afterwards.
      actors: [...(other?.actors ?? []), ...(own?.actors ?? [])],
      through: own ? namesThrough(own) : [],
      offline: group.offline,
    };
  };
}

function inodeOf(change: Change): string | undefined {
  switch (change.kind) {
    case "created":
    case "modified":
    case "renamed":
      return change.after.ino;
    case "deleted":
      return change.before.ino;
    case "transient":
    case "unreadable":
    case "mounted":
    case "unmounted":
      return change.before?.ino;
  }
}
