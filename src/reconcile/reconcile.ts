import type { Change, JudgedChange } from "../core/change/change.ts";
import { compare } from "../core/change/compare.ts";
import type { Look } from "../core/change/compare.ts";
import type { Actor, Hint } from "../core/change/hint.ts";
import { isSameInode } from "../core/change/observation.ts";
import { pair } from "../core/change/pair.ts";
import type { RenameFact } from "../core/change/pair.ts";
import { nameOf, parentOf } from "../core/path.ts";
import { transient } from "../core/change/transient.ts";
import { joinHints } from "./hints.ts";
import type { PathHints } from "./hints.ts";
import { judgeChange } from "./judge.ts";
import type { Origin } from "./judge.ts";
import { Looks } from "./look.ts";
import type { NodeView } from "./look.ts";
import { scan } from "./changed-below.ts";

type Hints = ReadonlyMap<string, PathHints>;

export type MountHint = Extract<Hint, { kind: "mounted" | "unmounted" }>;

/** What is reconciled in one transaction. */
export interface Group {
  readonly paths: readonly PathHints[];
  readonly mounts: readonly MountHint[];
  /** The changes happened while the agent was not running. */
  readonly offline: boolean;
}

export interface Parts {
  readonly view: NodeView;
  /** Stores what was seen, and the alerts, in one transaction. */
  readonly commit: (looks: readonly Look[], changes: readonly JudgedChange[]) => void;
  readonly later?: Later;
  readonly now: () => number;
}

/** What was hinted since the group was taken: a look can see what was done before its hint is read. */
export interface Later {
  /** Of these paths. To be "taken", and looked at anew, or only "noted": it is given once more when its turn comes. */
  readonly ask: (paths: readonly string[], use: "taken" | "noted") => Promise<readonly PathHints[]>;
  /** Times that the group may be looked at anew. */
  readonly rounds: number;
}

/** Renames above a path can lead in circles, with a longer name each time. */
const mostFormerNames = 32;

/** hint -> observe -> compare -> pair -> verdict -> one transaction. Gives back what was reported. */
export async function reconcile(group: Group, parts: Parts): Promise<readonly JudgedChange[]> {
  const { looks, hints } = await lookAtAll(group, parts);
  const seen = looks.all();
  const facts = renameFacts(seen, hints);
  const paired = pair(seen, facts);
  const changes = [
    ...group.mounts.map(mountChange),
    ...paired,
    ...transients(seen, hints, { facts, changes: paired }),
  ];
  const origin = origins(group, hints, parts.now());
  const removers = removersIn({ looks, hints }, facts);
  const whose = (change: Change): Origin => {
    const own = origin(change);
    const told = { ...own, actors: [...own.actors, ...removers(change)] };
    if (told.actors.length > 0 || group.offline) return told;
    const maker = makerOf(change, looks, parts.view);
    return maker ? { ...told, engine: "fanotify", actors: [maker] } : told;
  };
  const judged = changes
    .map((change) => judgeChange(change, whose(change), parts.view))
    .filter((one) => one !== undefined);
  parts.commit(seen, judged);
  return judged;
}

/** Who did what was seen is known only when all is read that was hinted before it was seen. */
async function lookAtAll(group: Group, { view, later }: Parts): Promise<Looked> {
  let hints: Hints = new Map(group.paths.map((one) => [one.path, one]));
  for (let round = 0; ; round += 1) {
    const looks = new Looks(view);
    for (const hint of hints.values()) await lookAround(hint, looks, view);
    const changed = looks.all().filter((look) => compare(look) !== undefined);
    if (!later || group.offline || changed.length === 0) return { looks, hints };
    const isLast = round >= later.rounds;
    const paths = changed.map(({ path }) => path);
    const news = await later.ask(paths, isLast ? "noted" : "taken");
    if (isLast) return { looks, hints: noting(hints, news) };
    if (news.length === 0) return { looks, hints };
    hints = joinHints([...hints.values(), ...news]);
  }
}

/** Some of it may have been done after the look: who took part is said, but what was done is not. */
function noting(hints: Hints, news: readonly PathHints[]): Hints {
  const all = new Map(hints);
  for (const one of news) {
    const own = hints.get(one.path);
    if (own && isTold(own)) all.set(one.path, { ...own, actors: [...one.actors, ...own.actors] });
    else all.set(one.path, { ...one, steps: own?.steps ?? ["changed"], from: [] });
  }
  return all;
}

interface Looked {
  readonly looks: Looks;
  readonly hints: Hints;
}

/** A file that was moved to a name of which nothing is left was removed there, which is told of its old name alone. */
function removersIn({ looks, hints }: Looked, facts: readonly RenameFact[]) {
  const onwards = Map.groupBy(facts, ({ from }) => from);
  return (change: Change): readonly Actor[] => {
    if (change.kind !== "deleted") return [];
    const names = new Set([change.path]);
    for (const name of names)
      for (const { to } of onwards.get(name) ?? []) {
        const look = looks.get(to);
        if (look && !look.before && !look.after) names.add(to);
      }
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
  // While it had another name, hints for what is in it had that too.
  if (hint.steps.includes("renamed") && look && isSameDirectory(look))
    for await (const path of scan(hint.path, view)) await looks.at(path);
}

function isSameDirectory({ before, after }: Look): boolean {
  return before?.type === "directory" && after !== undefined && isSameInode(before, after);
}

function mountChange({ kind, mount }: MountHint): Change {
  return { kind, path: mount.path, mount };
}

/**
 * The kernel's word. Of an engine that cannot tell renames, a name that was there for a moment beside a replaced file
 * must be its source.
 */
function renameFacts(looks: readonly Look[], hints: Hints): readonly RenameFact[] {
  const told = [...hints.values()].flatMap(({ path, from }) =>
    from.map((one) => ({ from: one, to: path })),
  );
  const tells = (path: string): boolean => hints.get(path)?.engine === "fanotify";
  const cameAndWent = (path: string): boolean =>
    !tells(path) && (hints.get(path)?.steps ?? []).some((step) => step !== "changed");
  const vanished = looks.filter(
    ({ path, before, after }) =>
      !before && !after && cameAndWent(path) && !told.some((fact) => fact.from === path),
  );
  const guessed = looks.flatMap(({ path, before, after }) => {
    if (!before || !after || before.ino === after.ino || tells(path)) return [];
    if (told.some((fact) => fact.to === path)) return [];
    const beside = vanished.filter((one) => parentOf(one.path) === parentOf(path));
    return beside.length === 1 && beside[0] ? [{ from: beside[0].path, to: path }] : [];
  });
  return [...told, ...guessed];
}

interface Told {
  readonly facts: readonly RenameFact[];
  readonly changes: readonly Change[];
}

/** Changes that only the kernel saw. Names that led to one that is told by a change are told with it. */
function transients(
  looks: readonly Look[],
  hints: Hints,
  { facts, changes }: Told,
): readonly Change[] {
  const names = changes.flatMap(namesOf).flatMap((name) => [...formerNames(name, hints)]);
  const told = withOtherNames(new Set(names), facts);
  const renamed = new Set(facts.flatMap(({ from, to }) => [from, to]));
  return looks.flatMap((look) => {
    const steps = (toldOf(look.path, hints) ?? hints.get(look.path))?.steps;
    if (!steps || told.has(look.path) || compare(look)) return [];
    // A name on the way from another to a third: its beginning and its end are told there.
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

/** These names and all that renames, one after the other, join with them. */
function withOtherNames(
  names: ReadonlySet<string>,
  facts: readonly RenameFact[],
): ReadonlySet<string> {
  const onwards = Map.groupBy(facts, ({ from }) => from);
  const backwards = Map.groupBy(facts, ({ to }) => to);
  const all = new Set(names);
  // What is added to a set while it is gone through is come to as well.
  for (const name of all) {
    for (const { to } of onwards.get(name) ?? []) all.add(to);
    for (const { from } of backwards.get(name) ?? []) all.add(from);
  }
  return all;
}

function isOf(change: Change, { kind, mount }: MountHint): boolean {
  return change.kind === kind && change.mount === mount;
}

/** Its own former names are none of its other names, and neither is that of a file that never had one (O_TMPFILE). */
function namesThrough({ through = [], from }: PathHints): readonly string[] {
  return through.filter((name) => !from.includes(name) && !/^#\d+$/.test(nameOf(name)));
}

/** What is there now, or what was there before. */
type Side = "before" | "after";

/** What is told of the nearest directory above that was moved: whoever moved it moved what is in it. */
function moveAbove(path: string, side: Side, hints: Hints): PathHints | undefined {
  for (let dir = parentOf(path); dir !== "/"; dir = parentOf(dir)) {
    const hint = hints.get(dir);
    if (hint && wasMoved(hint, side)) return hint;
  }
  return undefined;
}

/** What is in a directory now did not come with it when it was made there after another had been moved away. */
function wasMoved({ steps }: PathHints, side: Side): boolean {
  const isLast = steps.lastIndexOf("renamed") > steps.lastIndexOf("created");
  return side === "after" ? isLast : steps.includes("renamed");
}

/** A path, and the names that it had before directories above it were moved. */
function formerNames(path: string, hints: Hints): ReadonlySet<string> {
  const names = new Set([path]);
  for (const name of names)
    for (let dir = parentOf(name); dir !== "/" && names.size < mostFormerNames; dir = parentOf(dir))
      for (const from of hints.get(dir)?.from ?? []) names.add(from + name.slice(dir.length));
  return names;
}

/** What events told of it, under the name that it has or a former one. */
function toldOf(path: string, hints: Hints): PathHints | undefined {
  for (const name of formerNames(path, hints)) {
    const hint = hints.get(name);
    if (hint && isTold(hint)) return hint;
  }
  return undefined;
}

/** Some event told of it: it was not only found by a sweep or a scan. */
function isTold({ engine }: PathHints): boolean {
  return engine !== "sweep";
}

/** Of the path itself, else of the directory that was moved with it, else of who only found it. */
function hintsOf(path: string, side: Side, hints: Hints): PathHints | undefined {
  return toldOf(path, hints) ?? moveAbove(path, side, hints) ?? hints.get(path);
}

/** What was there before its directory was watched has nobody's hints; the kernel noted its maker all the same. */
function makerOf(
  change: Change,
  looks: Looks,
  { makerOf: ask, known }: NodeView,
): Actor | undefined {
  if (change.kind !== "created" || !ask) return undefined;
  const above = parentOf(change.path);
  const directory = looks.get(above)?.after ?? known.get(above);
  return directory && ask(change.after, directory);
}

/** Who and when: of a mount's own hint, of the path's own hints, of the old name's, else of this look. */
function origins(group: Group, hints: Hints, now: number): (change: Change) => Origin {
  return (change) => {
    const mount = group.mounts.find((one) => isOf(change, one));
    if (mount) return { at: mount.at, engine: mount.engine, actors: [], offline: group.offline };
    const own = hintsOf(change.path, change.kind === "deleted" ? "before" : "after", hints);
    const other = change.kind === "renamed" ? hintsOf(change.from, "before", hints) : undefined;
    const hint = own ?? other;
    return {
      at: hint?.lastAt ?? now,
      engine: hint?.engine ?? "sweep",
      // Who acts on the old name afterwards is not who did the rename: that one comes last.
      actors: [...(other?.actors ?? []), ...(own?.actors ?? [])],
      through: own ? namesThrough(own) : [],
      offline: group.offline,
    };
  };
}
