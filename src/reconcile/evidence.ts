import type { Actor, Step } from "../core/change/hint.ts";
import { isBelow, parentOf } from "../core/path.ts";
import type { PathHints } from "./hints.ts";

/** The present observation, else the last one. */
type Side = "before" | "after";

/** Renames above a path can form circles, with a longer name each time. */
const mostNames = 32;

/** Whether an event gave this hint, and not a sweep or a scan. */
export function isFromEvent({ engine }: PathHints): boolean {
  return engine !== "sweep";
}

interface Place {
  readonly path: string;
  readonly ino: string | undefined;
}

/** The only process in a group with renames, and the directories in which it renamed. */
interface Mover {
  readonly hint: PathHints;
  readonly beside: readonly string[];
}

/** Finds the hints of a path, whatever name it had when the event came. */
export class Evidence {
  readonly #hints: ReadonlyMap<string, PathHints>;
  readonly #mover: Mover | undefined;
  readonly #byInode: ReadonlyMap<string, PathHints>;
  /** Old name of a rename -> its new names. */
  readonly #onwards: ReadonlyMap<string, readonly { readonly path: string }[]>;

  constructor(hints: ReadonlyMap<string, PathHints>) {
    this.#hints = hints;
    const all = [...hints.values()];
    this.#byInode = new Map(all.flatMap((hint) => (hint.inos ?? []).map((ino) => [ino, hint])));
    this.#mover = moverOf(all);
    const renames = all.flatMap(({ path, from }) => from.map((old) => ({ old, path })));
    this.#onwards = Map.groupBy(renames, ({ old }) => old);
  }

  /**
   * The hints of the path, else of its inode under another name, else of the directory that moved with it, else of
   * the sweep that found it.
   */
  of({ path, ino }: Place, side: Side): PathHints | undefined {
    const byInode = ino === undefined ? undefined : this.#byInode.get(ino);
    const own = this.#events(path) ?? byInode ?? this.#moveAbove(path, side);
    const named = own ?? this.#fromEvent(this.#laterNames(path));
    const likely = side === "before" ? this.#ofDirectory(path) : undefined;
    return named ?? likely ?? this.#ofMover(path) ?? this.#hints.get(path);
  }

  /** The steps of a path, by events under any of its names or by a sweep. */
  stepsAt(path: string): readonly Step[] | undefined {
    return (this.#events(path) ?? this.#hints.get(path))?.steps;
  }

  /** The hints by events under a path's present name or a former one. */
  #events(path: string): PathHints | undefined {
    return this.#fromEvent(this.formerNames(path));
  }

  /** A path, and the names that it had before directories above it were renamed. */
  formerNames(path: string): ReadonlySet<string> {
    return namesBy(path, (dir) => this.#hints.get(dir)?.from ?? []);
  }

  /** A path, and its other names before and after renames of directories above it. */
  namesOf(path: string): ReadonlySet<string> {
    return new Set([...this.formerNames(path), ...this.#laterNames(path)]);
  }

  /** A path, and the names that it got when directories above it were renamed. */
  #laterNames(path: string): ReadonlySet<string> {
    return namesBy(path, (dir) => (this.#onwards.get(dir) ?? []).map((rename) => rename.path));
  }

  /**
   * An entry that was moved into a directory before that was marked, and then removed, gives no event: who made, moved
   * or removed the directory in this moment is the likeliest to have removed the entry, and is not proven.
   */
  #ofDirectory(path: string): PathHints | undefined {
    for (let dir = parentOf(path); dir !== "/"; dir = parentOf(dir)) {
      const hint = this.#fromEvent(this.namesOf(dir));
      if (hint?.steps.some((step) => structural.has(step)))
        return { ...hint, actors: hint.actors.map(withoutProof) };
    }
    return undefined;
  }

  /**
   * Beside renames, a path may have had a name that no hint carries any more. Then the only process that changed
   * anything in this moment is the likeliest, and is not proven.
   */
  #ofMover(path: string): PathHints | undefined {
    const mover = this.#mover;
    const isBeside = mover?.beside.some((dir) => isBelow(path, dir)) ?? false;
    return isBeside ? mover?.hint : undefined;
  }

  #fromEvent(names: Iterable<string>): PathHints | undefined {
    for (const name of names) {
      const hint = this.#hints.get(name);
      if (hint && isFromEvent(hint)) return hint;
    }
    return undefined;
  }

  /** The origin of the nearest renamed directory above: who moved it moved its entries. */
  #moveAbove(path: string, side: Side): PathHints | undefined {
    for (let dir = parentOf(path); dir !== "/"; dir = parentOf(dir)) {
      const hint = this.#hints.get(dir);
      if (hint && wasMoved(hint, side)) return hint;
    }
    return undefined;
  }
}

function moverOf(hints: readonly PathHints[]): Mover | undefined {
  const renames = hints.filter(({ from }) => from.length > 0);
  const [hint] = renames;
  const pids = new Set(hints.flatMap(({ actors }) => actors.map(({ pid }) => pid)));
  if (!hint || pids.size !== 1) return undefined;
  const beside = new Set(renames.flatMap(({ path, from }) => [path, ...from].map(parentOf)));
  return {
    hint: { ...hint, through: [], actors: hint.actors.map(withoutProof) },
    beside: [...beside],
  };
}

const structural: ReadonlySet<Step> = new Set(["created", "deleted", "renamed"]);

function withoutProof({ isProven: _isProven, ...actor }: Actor): Actor {
  return actor;
}

/** Unless the entry was made after the directory moved. */
function wasMoved({ steps }: PathHints, side: Side): boolean {
  const isLast = steps.lastIndexOf("renamed") > steps.lastIndexOf("created");
  return side === "after" ? isLast : steps.includes("renamed");
}

function namesBy(path: string, renamed: (dir: string) => readonly string[]): ReadonlySet<string> {
  const names = new Set([path]);
  for (const name of names)
    for (let dir = parentOf(name); dir !== "/" && names.size < mostNames; dir = parentOf(dir))
      for (const other of renamed(dir)) names.add(other + name.slice(dir.length));
  return names;
}
