import { inlineBytes } from "../core/size-class.ts";
import { differences } from "../core/change/compare.ts";
import type { Approved } from "../core/change/restored.ts";
import type { Look } from "../core/change/compare.ts";
import type { Actor } from "../core/change/hint.ts";
import { isUnseen, rowOf } from "../core/change/observation.ts";
import type { Observation } from "../core/change/observation.ts";
import { joinPath, nameOf, parentOf } from "../core/path.ts";
import type { TouchNotes } from "./changing-program.ts";
import type { Rule, RuleTree } from "../core/policy/rule.ts";

/** What the reconcile stage needs to look at a path, from observe/ and baseline/. */
export interface NodeView {
  readonly index: RuleTree;
  readonly observer: {
    observe(path: string, want: Want): Observation | undefined;
    list(dir: string): readonly { readonly name: string }[] | undefined;
  };
  /** Hashes a file that is too large for this thread. */
  readonly observeLarge: (
    path: string,
    want: Want,
    found: Observation,
  ) => Promise<Observation | undefined>;
  readonly known: {
    get(path: string): Observation | undefined;
    below(dir: string): Iterable<{ readonly path: string }>;
    findByInode(dev: string, ino: string): readonly string[];
  };
  /** The state that was approved last. Absent in a check, which compares with nothing else. */
  readonly approved?: Approved;
  /** Whether the actor ran the approved file of that name. Undefined: no longer known. */
  readonly isApprovedExecutable?: (actor: Actor) => boolean | undefined;
  /** Whether the actor's executable is one of these, under this name or a link to it. */
  readonly isAllowedWriter?: (actor: Actor, writers: readonly string[]) => boolean;
  /** Whether the actor runs an approved program in a static pod of this node whose manifest is approved. */
  readonly isInStaticPod?: (actor: Actor) => boolean;
  /** Reads the programs of actors in static pods, while their processes live. */
  readonly learnPrograms?: (actors: readonly Actor[]) => Promise<void>;
  /** The process that made a path without an event, in a directory that had just been made. */
  readonly makerOf?: (made: Observation, directory: Observation) => Actor | undefined;
  /** Which program changed which inode. Absent in a check. */
  readonly touches?: TouchNotes;
  /** Every watched path at or below a directory, as it is now. */
  readonly walk: (dir: string) => Iterable<{ readonly path: string }>;
}

export interface Want {
  readonly hash: boolean;
  readonly prefix?: number;
  readonly maxBytes?: number;
}

/** What to read of a file under this rule. Content that may change freely is not hashed. */
export function wantOf(path: string, rule: Rule, view: NodeView): Want {
  switch (rule.class) {
    case "volatile":
      return { hash: false };
    case "sealed":
      return { hash: siblingsOf(path, rule, view).some((name) => name > nameOf(path)) };
    case "append-only": {
      const known = view.known.get(path);
      return known?.sha256 === undefined ? { hash: true } : { hash: true, prefix: known.size };
    }
    case "immutable":
    case "rotates":
      return { hash: true };
  }
}

/** Names of the other entries of the directory under the same rule. */
export function siblingsOf(path: string, rule: Rule, view: NodeView): readonly string[] {
  const dir = parentOf(path);
  const entries = view.observer.list(dir) ?? [];
  return entries
    .map(({ name }) => name)
    .filter(
      (name) => name !== nameOf(path) && view.index.find(joinPath(dir, name))?.rule.id === rule.id,
    );
}

type PathView = Pick<NodeView, "index"> & {
  readonly observer: Pick<NodeView["observer"], "observe">;
};

/**
 * Knows which paths lie behind a symbolic link that replaced a watched directory: they are no part of the tree. A
 * link above all watched paths is only a way to them.
 */
export class Links {
  readonly #view: PathView;
  readonly #behind = new Map<string, boolean>();

  constructor(view: PathView) {
    this.#view = view;
  }

  hide(path: string): boolean {
    return path !== "/" && this.#isBehind(parentOf(path));
  }

  #isBehind(dir: string): boolean {
    if (dir === "/") return false;
    const known = this.#behind.get(dir);
    if (known !== undefined) return known;
    const isBehind = this.#isLink(dir) || this.#isBehind(parentOf(dir));
    this.#behind.set(dir, isBehind);
    return isBehind;
  }

  #isLink(dir: string): boolean {
    const { index, observer } = this.#view;
    return (
      index.find(dir) !== undefined && observer.observe(dir, { hash: false })?.type === "symlink"
    );
  }
}

/** Looks at paths, and at the paths that a look leads to, each once. */
export class Looks {
  readonly #view: NodeView;
  readonly #looks = new Map<string, Look>();
  readonly #walked = new Set<string>();
  readonly #links: Links;

  constructor(view: NodeView) {
    this.#view = view;
    this.#links = new Links(view);
  }

  /**
   * Directories before their entries. A directory may move between the look at it and the look at an entry: an entry
   * of a directory that is not there counts as gone. The event of that move leads to both again.
   */
  all(): readonly Look[] {
    const looks = [...this.#looks.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const present = new Map<string, Look>();
    for (const look of looks) {
      const { path, before, after } = look;
      const isOrphan = after !== undefined && this.#isWithoutDirectory(path, present);
      present.set(path, isOrphan ? { path, ...(before && { before }) } : look);
    }
    return [...present.values()];
  }

  /** Looks at unknown directories above what was found, so that they are reported with it. */
  async completeAbove(): Promise<void> {
    const { index, known } = this.#view;
    for (const { path, after } of this.#looks.values()) {
      const above = parentOf(path);
      if (after && !this.#looks.has(above) && index.find(above) && !known.get(above))
        await this.at(above);
    }
  }

  #isWithoutDirectory(path: string, looks: ReadonlyMap<string, Look>): boolean {
    const above = parentOf(path);
    if (path === "/" || !this.#view.index.find(above)) return false;
    const look = looks.get(above);
    const directory = look ? look.after : this.#view.known.get(above);
    return directory?.type !== "directory";
  }

  get(path: string): Look | undefined {
    return this.#looks.get(path);
  }

  async at(first: string): Promise<void> {
    const queue = [first];
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (this.#looks.has(path)) continue;
      const look = await this.#look(path);
      this.#looks.set(path, look);
      for (const other of this.#ledTo(look)) queue.push(other);
    }
  }

  /** Looks at entries of a directory that came or went, for hints without a name. */
  async entriesOf(dir: string): Promise<void> {
    const entries = this.#view.observer.list(dir);
    if (!entries) return;
    const names = new Set(entries.map(({ name }) => name));
    for (const name of names) {
      const path = joinPath(dir, name);
      if (!this.#view.known.get(path)) await this.at(path);
    }
    for (const { path } of this.#view.known.below(dir))
      if (parentOf(path) === dir && !names.has(nameOf(path))) await this.at(path);
  }

  async #look(path: string): Promise<Look> {
    const { index, observer, observeLarge, known } = this.#view;
    const before = known.get(path);
    const match = index.find(path);
    if (!match || this.#links.hide(path)) return before ? { path, before } : { path };
    const want = wantOf(path, match.rule, this.#view);
    let after = observer.observe(path, { ...want, maxBytes: inlineBytes });
    if (want.hash && after?.type === "file" && after.size > inlineBytes && !after.unreadable)
      after = await observeLarge(path, want, after);
    // Unknown before and unreadable now: no finding.
    if (!before && after && isUnseen(after)) return { path };
    if (before && after?.unreadable) after = remembering(before, after);
    return { path, ...(before && { before }), ...(after && { after }) };
  }

  /** A directory that came or went takes everything below it along; a new inode may come from another path. */
  *#ledTo({ path, before, after }: Look): Iterable<string> {
    const { known, index } = this.#view;
    const arrived = after !== undefined && (!before || movedInode(before, after));
    const left = before !== undefined && (!after || movedInode(before, after));
    if (left && before.type === "directory") yield* pathsOf(known.below(path));
    if (arrived && after.type === "directory") yield* this.#walkOnce(path);
    // Unwatched parent: compare inodes below it, read nothing.
    if (!before && !after && index.mayMatchBelow(path)) {
      for (const below of this.#walkOnce(path)) if (hasMoved(below, this.#view)) yield below;
      for (const below of pathsOf(known.below(path)))
        if (!this.#walked.has(below) && hasMoved(below, this.#view)) yield below;
    }
    if (arrived) yield* known.findByInode(after.dev, after.ino);
    if (arrived) yield* this.#nowSealed(path);
  }

  /** A new sealed file ends the life of the previous one, which now gets its digest. */
  *#nowSealed(path: string): Iterable<string> {
    const rule = this.#view.index.find(path)?.rule;
    if (rule?.class !== "sealed") return;
    for (const name of siblingsOf(path, rule, this.#view)) {
      const sibling = joinPath(parentOf(path), name);
      if (this.#view.known.get(sibling)?.sha256 === undefined) yield sibling;
    }
  }

  /** Directories inside a tree that is already being walked are not walked again. */
  *#walkOnce(dir: string): Iterable<string> {
    if (this.#walked.has(dir)) return;
    for (const { path } of this.#view.walk(dir)) {
      this.#walked.add(path);
      yield path;
    }
  }
}

/** Whether the inode alone shows a change since the last look. */
export function hasMoved(path: string, { known, observer }: NodeView): boolean {
  const before = known.get(path);
  const after = observer.observe(path, { hash: false });
  return !before || !after || before.ctime !== after.ctime || before.ino !== after.ino;
}

/** Keeps the last known fields of a file that is unreadable now, so that its return can be compared. */
function remembering(before: Observation, after: Observation): Observation {
  const { unreadable } = after;
  if (unreadable !== undefined && isUnseen(after)) return { ...before, unreadable };
  const { sha256 } = before;
  const isAsItWas = after.size === before.size && after.mtime === before.mtime;
  if (after.type !== "file" || sha256 === undefined || !isAsItWas) return after;
  return { ...after, sha256 };
}

/** Whether the stored row must be written again. */
export function isStale({ before, after }: Look): boolean {
  if (!before || !after) return before !== after;
  return rowOf(before) !== rowOf(after);
}

function movedInode(before: Observation, after: Observation): boolean {
  return before.type !== after.type || differences(before, after).includes("inode");
}

function* pathsOf(entries: Iterable<{ readonly path: string }>): Iterable<string> {
  for (const { path } of entries) yield path;
}
