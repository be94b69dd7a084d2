import { closure } from "../closure.ts";
import { isBelow, parentOf } from "../path.ts";
import type { Change } from "./change.ts";
import { compare, differences, stayed } from "./compare.ts";
import type { Look } from "./compare.ts";

/** A file that left one path and arrived at another. */
export interface Moved {
  readonly from: Look;
  readonly to: Look;
}

type Renamed = Extract<Change, { readonly kind: "renamed" }>;

interface Paired {
  readonly looks: readonly Look[];
  /** Those that moved with a directory above them included. */
  readonly moves: readonly Moved[];
  /** At most one for each look. */
  readonly changes: readonly Change[];
}

/**
 * Orders changes such that a reader who applies them one by one to the tree before gets the tree after: removals, then
 * parents before their entries, and what has to leave a path before what takes it. A rename inside a renamed directory
 * has the directory's new name in its `from`. Two files that changed places are two renames that mirror each other.
 * Undefined: renames alone cannot say it, for instance when a directory moved into its own successor.
 */
export function inOrder(paired: Paired): readonly Change[] | undefined {
  if (paired.moves.length === 0) return plainOrder(paired.changes);
  try {
    return new Replay(paired).play();
  } catch (error) {
    if (error instanceof Tangled) return undefined;
    throw error;
  }
}

/** The order of changes without a rename. */
export function plainOrder(changes: readonly Change[]): readonly Change[] {
  const removals = changes.filter(isRemoval).toSorted((a, b) => (a.path < b.path ? 1 : -1));
  const others = changes.filter((one) => !isRemoval(one));
  return [...removals, ...others.toSorted((a, b) => (a.path < b.path ? -1 : 1))];
}

const isRemoval = ({ kind }: Change): boolean => kind === "deleted";

class Tangled extends Error {}

/** A file of the tree before, on its way. */
interface Item {
  readonly look: Look;
  readonly isDirectory: boolean;
  /** Where the replay has it now. */
  at: string;
  /** Where it is in the end. Undefined: gone. */
  readonly to: string | undefined;
}

class Replay {
  readonly #looks: ReadonlyMap<string, Look>;
  readonly #changes = new Map<string, Change>();
  readonly #removals = new Map<Item, Change>();
  readonly #items = new Items();
  /** The item that belongs to a path in the end. */
  readonly #owners = new Map<string, Item>();
  readonly #reported = new Set<Item>();
  readonly #placed = new Set<string>();
  readonly #placing = new Set<string>();
  readonly #played: Change[] = [];

  constructor({ looks, moves, changes }: Paired) {
    this.#looks = new Map(looks.map((look) => [look.path, look]));
    const targets = new Map(moves.map(({ from, to }) => [from.path, to.path]));
    const taken = new Set(targets.values());
    for (const look of looks) {
      const { path, before } = look;
      if (!before) continue;
      const to = targets.get(path) ?? (!taken.has(path) && stayed(look) ? path : undefined);
      const item = { look, at: path, to, isDirectory: before.type === "directory" };
      this.#items.put(path, item);
      if (to !== undefined) this.#owners.set(to, item);
    }
    for (const change of changes) {
      const item = change.kind === "deleted" ? this.#items.get(change.path) : undefined;
      if (item) this.#removals.set(item, change);
      else this.#changes.set(change.path, change);
    }
  }

  play(): readonly Change[] {
    const above = this.#directoriesOfKept();
    const gone = [...this.#removals.keys()].filter(({ at }) => !above.has(at));
    this.#removeAll(gone);
    const after = [...this.#looks.values()].filter((look) => look.after);
    for (const path of after.map((look) => look.path).toSorted()) this.#place(path);
    this.#removeAll([...this.#removals.keys()]);
    return this.#played;
  }

  /** Directories that hold something that stays or moves. */
  #directoriesOfKept(): ReadonlySet<string> {
    const above = new Set<string>();
    for (const { at, to } of this.#items.values())
      if (to !== undefined)
        for (let dir = parentOf(at); !above.has(dir) && dir !== "/"; dir = parentOf(dir))
          above.add(dir);
    return above;
  }

  #removeAll(items: readonly Item[]): void {
    for (const item of items.toSorted((a, b) => (a.at < b.at ? 1 : -1))) this.#remove(item);
  }

  #remove(item: Item): void {
    const change = this.#removals.get(item);
    if (!change) return;
    this.#removals.delete(item);
    this.#items.delete(item.at);
    this.#played.push({ ...change, path: item.at });
  }

  /** Brings a path to its final state, after the directories above it. */
  #place(path: string): void {
    if (this.#placed.has(path)) return;
    if (this.#placing.has(path)) throw new Tangled();
    this.#placing.add(path);
    const above = parentOf(path);
    if (this.#looks.get(above)?.after) this.#place(above);
    const item = this.#owners.get(path);
    if (item) this.#bring(item, path);
    else this.#make(path);
    this.#placing.delete(path);
    this.#placed.add(path);
  }

  #bring(item: Item, path: string): void {
    const change = this.#changes.get(path);
    if (item.at !== path) this.#move(item, path);
    if (change && change.kind !== "renamed") this.#played.push(change);
    else if (change && !this.#reported.has(item)) this.#reportCarried(item, path);
  }

  /** It moved with a directory, although it was paired as a rename of its own. */
  #reportCarried({ look: { before } }: Item, path: string): void {
    const after = this.#looks.get(path)?.after;
    const change = before && after && compare({ path, before, after });
    if (change) this.#played.push(change);
  }

  #make(path: string): void {
    const change = this.#changes.get(path);
    if (!change) return;
    const there = this.#items.get(path);
    if (there?.to !== undefined) this.#place(there.to);
    else if (there) this.#empty(there);
    this.#played.push(change);
  }

  #move(item: Item, path: string): void {
    const next = this.#items.get(path)?.to;
    if (next !== undefined && next !== item.at && !this.#placing.has(next)) this.#place(next);
    // Its own directory may have taken it along.
    if (item.at === path) return;
    const there = this.#items.get(path);
    if (there?.to !== undefined) {
      this.#exchange(item, there);
      return;
    }
    if (there) {
      this.#empty(there);
      this.#remove(there);
    }
    if (isBelow(path, item.at) || isBelow(item.at, path)) throw new Tangled();
    if (this.#below(path).some(({ to }) => to !== undefined)) throw new Tangled();
    this.#leaveBehind(item);
    for (const lost of [path, ...this.#below(path).map(({ at }) => at)]) this.#items.delete(lost);
    this.#played.push(this.#renamed(item, path));
    this.#reported.add(item);
    this.#relocate([[item, path]]);
  }

  #exchange(item: Item, there: Item): void {
    const [from, path] = [item.at, there.at];
    if (isBelow(path, from) || isBelow(from, path)) throw new Tangled();
    this.#leaveBehind(item);
    this.#leaveBehind(there);
    this.#played.push(this.#renamed(item, path), this.#renamed(there, from));
    this.#reported.add(item);
    if (there.to === from) this.#reported.add(there);
    this.#relocate([
      [item, path],
      [there, from],
    ]);
  }

  /** An entry that another file replaced under the directory's old name does not move with the directory. */
  #leaveBehind(directory: Item): void {
    for (const { at, to, look } of this.#below(directory.at).toReversed()) {
      const { path, before, after } = look;
      if (to !== undefined || !after || !before) continue;
      this.#items.delete(at);
      this.#played.push({ kind: "deleted", path: at, before });
      if (this.#changes.get(path)?.kind === "modified")
        this.#changes.set(path, { kind: "created", path, after });
    }
  }

  /** Removes what is gone below, and moves away what belongs elsewhere. */
  #empty({ at }: Item): void {
    for (const one of this.#below(at))
      if (one.to !== undefined && one.to !== one.at && isBelow(one.at, at)) this.#place(one.to);
    this.#removeAll(this.#below(at).filter((one) => this.#removals.has(one)));
  }

  #below(dir: string): readonly Item[] {
    return this.#items.get(dir)?.isDirectory === true ? this.#items.below(dir) : [];
  }

  #renamed(item: Item, path: string): Renamed {
    const { look, at: from, to, isDirectory } = item;
    const paired = this.#changes.get(path);
    if (paired?.kind === "renamed" && to === path) return { ...paired, from };
    const { before } = look;
    const after = to === undefined ? undefined : this.#looks.get(to)?.after;
    if (!before || !after) throw new Tangled();
    const base = { kind: "renamed" as const, path, from, before, after };
    const fields = differences(before, after);
    return isDirectory ? { ...base, fields, count: this.#below(from).length } : { ...base, fields };
  }

  #relocate(moves: readonly (readonly [Item, string])[]): void {
    const all = moves.flatMap(([item, path]) =>
      [item, ...this.#below(item.at)].map(
        (one) => [one, path + one.at.slice(item.at.length)] as const,
      ),
    );
    for (const [item] of all) this.#items.delete(item.at);
    for (const [item, path] of all) {
      item.at = path;
      this.#items.put(path, item);
    }
  }
}

/** Items by path, and the paths below a directory without a look at all others. */
class Items {
  readonly #items = new Map<string, Item>();
  /** The entries of each directory on the way to an item. */
  readonly #entries = new Map<string, Set<string>>();

  get(path: string): Item | undefined {
    return this.#items.get(path);
  }

  values(): Iterable<Item> {
    return this.#items.values();
  }

  put(path: string, item: Item): void {
    this.#items.set(path, item);
    for (let one = path; one !== "/"; one = parentOf(one)) {
      const entries = this.#entries.get(parentOf(one)) ?? new Set();
      this.#entries.set(parentOf(one), entries);
      if (entries.has(one)) return;
      entries.add(one);
    }
  }

  delete(path: string): void {
    this.#items.delete(path);
    for (let one = path; one !== "/" && !this.#isUsed(one); one = parentOf(one))
      this.#entries.get(parentOf(one))?.delete(one);
  }

  below(dir: string): readonly Item[] {
    const paths = closure(this.#entries.get(dir) ?? [], (one) => this.#entries.get(one) ?? []);
    return [...paths].flatMap((path) => this.#items.get(path) ?? []);
  }

  #isUsed(path: string): boolean {
    return this.#items.has(path) || (this.#entries.get(path)?.size ?? 0) > 0;
  }
}
