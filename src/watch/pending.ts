import { atMost, weakestFirst } from "../core/change/actors.ts";
import type { Actor, EngineName, Hint, Image, Step } from "../core/change/hint.ts";
import { isBelow, joinPath, parentOf } from "../core/path.ts";
import {
  appendStep,
  isBeingWritten,
  isStructural,
  longestWait,
  quietTime,
} from "../core/change/wait.ts";

export type PathHint = Extract<Hint, { readonly kind: "path" }>;

/** All hints of one path since the last look at it. */
export interface HintedPath {
  readonly path: string;
  readonly engine: EngineName;
  /** In order, without repeats in a row. */
  readonly steps: readonly Step[];
  /** Milliseconds since 1970, of the first and last hint. */
  readonly firstAt: number;
  readonly lastAt: number;
  /** Old names of renames to this path. */
  readonly from: readonly string[];
  /** Other names (hard links) through which the file was changed. */
  readonly through?: readonly string[];
  /** Numbers of the inodes that the events were about. */
  readonly inos?: readonly string[];
  /**
   * Every actor once, the latest last. Actors that only closed the file come first, as the weakest evidence: a
   * process that looks at the descriptor in /proc/PID/fd while the writer closes it becomes the closer.
   */
  readonly actors: readonly Actor[];
}

/** Reported names of one file. */
const mostNames = 10;
/** Remembered processes of one path. */
const mostActors = 64;

interface Entry {
  readonly path: string;
  readonly isKnown: boolean;
  readonly firstSeen: number;
  readonly firstAt: number;
  engine: EngineName;
  lastAt: number;
  due: number;
  steps: readonly Step[];
  /** By process and program. */
  readonly actors: Map<string, Actor>;
  readonly from: Set<string>;
  through: readonly string[];
  inos: readonly string[];
  /** The other names of renames, both ways. */
  readonly partners: Set<string>;
}

interface Taking {
  readonly taken: HintedPath[];
  readonly most: number;
  /** Directories whose names were taken along. */
  readonly directories: Set<string>;
}

/** The paths that wait, by path, by directory and by due time. */
export class PendingPaths {
  readonly #isKnown: (path: string) => boolean;
  readonly #entries = new Map<string, Entry>();
  /** Only entries whose name may have come, gone or moved. */
  readonly #structural = new Map<string, Set<Entry>>();

  constructor(isKnown: (path: string) => boolean) {
    this.#isKnown = isKnown;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(path: string): boolean {
    return this.#entries.has(path);
  }

  /** Milliseconds on the clock when the next path falls due, or undefined. */
  get nextDue(): number | undefined {
    let next: number | undefined;
    for (const { due } of this.#entries.values()) if (next === undefined || due < next) next = due;
    return next;
  }

  /** Milliseconds on the clock when the path falls due, as far as is known now. */
  add(hint: PathHint, now: number): number {
    const entry = this.#note(hint.path, hint, now);
    if (hint.actor) involve(entry.actors, hint.actor, hint.step);
    if (hint.through !== undefined) entry.through = withName(entry.through, hint.through);
    if (hint.ino !== undefined) entry.inos = withName(entry.inos, hint.ino);
    if (hint.from === undefined || hint.from === hint.path) return entry.due;
    const other = this.#note(hint.from, hint, now);
    if (hint.actor) involve(other.actors, hint.actor, hint.step);
    entry.from.add(hint.from);
    entry.partners.add(other.path);
    other.partners.add(entry.path);
    return Math.min(entry.due, other.due);
  }

  /** The due hints, with the other names of their renames and the names that still wait of their directories. */
  takeDue(until: number, most: number): HintedPath[] {
    const taking: Taking = { taken: [], most, directories: new Set() };
    for (const entry of this.#entries.values()) {
      if (taking.taken.length >= most) break;
      if (entry.due <= until) this.#takeWithOthers(entry, taking);
    }
    return taking.taken;
  }

  /** Everything at or below a directory, and the other names of its renames: evidence for its sweep. */
  takeBelow(directory: string): HintedPath[] {
    const taking: Taking = { taken: [], most: 0, directories: new Set() };
    for (const entry of this.#entries.values()) {
      const isInside = entry.path === directory || isBelow(entry.path, directory);
      if (isInside) this.#takeWithOthers(entry, taking);
    }
    return taking.taken;
  }

  /** The hints at these paths, and at the other names of their renames. */
  takeAt(paths: readonly string[]): HintedPath[] {
    const taking: Taking = { taken: [], most: 0, directories: new Set() };
    for (const path of paths) {
      const entry = this.#entries.get(path);
      if (entry) this.#takeWithOthers(entry, taking);
    }
    return taking.taken;
  }

  /** The same, but the hints stay. */
  at(paths: readonly string[]): HintedPath[] {
    return paths.flatMap((path) => {
      const entry = this.#entries.get(path);
      return entry ? [hintedOf(entry)] : [];
    });
  }

  /** The deepest directory with more than half of the waiting paths below it. */
  crowdedDirectory(): string {
    let directory = "/";
    for (;;) {
      const next = this.#crowdedChild(directory);
      if (next === undefined) return directory;
      directory = next;
    }
  }

  #crowdedChild(directory: string): string | undefined {
    const counts = new Map<string, number>();
    const start = directory === "/" ? 1 : directory.length + 1;
    for (const { path } of this.#entries.values()) {
      const slash = isBelow(path, directory) ? path.indexOf("/", start) : -1;
      if (slash < 0) continue;
      const child = joinPath(directory, path.slice(start, slash));
      counts.set(child, (counts.get(child) ?? 0) + 1);
    }
    for (const [child, count] of counts) if (count > this.size / 2) return child;
    return undefined;
  }

  #note(path: string, hint: PathHint, now: number): Entry {
    let entry = this.#entries.get(path);
    if (!entry) {
      entry = {
        path,
        isKnown: this.#isKnown(path),
        firstSeen: now,
        firstAt: hint.at,
        engine: hint.engine,
        lastAt: hint.at,
        due: now,
        steps: [],
        actors: new Map(),
        from: new Set(),
        through: [],
        inos: [],
        partners: new Set(),
      };
      this.#entries.set(path, entry);
    }
    // Events say more than a sweep's finding.
    if (entry.engine === "sweep") entry.engine = hint.engine;
    entry.lastAt = hint.at;
    entry.steps = appendStep(entry.steps, hint.step);
    const quiet = quietTime(entry.steps, entry.isKnown, hint.engine);
    entry.due = Math.min(now + quiet, entry.firstSeen + longestWait);
    if (isStructural(entry.steps)) this.#noteStructural(entry);
    return entry;
  }

  #noteStructural(entry: Entry): void {
    const directory = parentOf(entry.path);
    const siblings = this.#structural.get(directory);
    if (siblings) siblings.add(entry);
    else this.#structural.set(directory, new Set([entry]));
  }

  #takeWithOthers(first: Entry, taking: Taking): void {
    const queue = [first];
    for (let entry = queue.pop(); entry; entry = queue.pop()) {
      if (!this.#take(entry, taking.taken)) continue;
      // A rename's other name comes along even past the limit: apart, the two mean something else.
      for (const path of entry.partners) {
        const partner = this.#entries.get(path);
        if (partner) queue.push(partner);
      }
      if (isStructural(entry.steps)) queue.push(...this.#siblings(entry, taking));
      queue.push(...this.#renamedAbove(entry.path));
    }
  }

  /** Renamed directories above: without their hints the path has another name than what is known of it. */
  *#renamedAbove(path: string): Iterable<Entry> {
    for (let dir = parentOf(path); dir !== "/"; dir = parentOf(dir)) {
      const entry = this.#entries.get(dir);
      if (entry && entry.partners.size > 0) yield entry;
    }
  }

  /** Entries of the same directory that came or went; each directory once. */
  #siblings(entry: Entry, { taken, most, directories }: Taking): Entry[] {
    const directory = parentOf(entry.path);
    const siblings: Entry[] = [];
    if (directories.has(directory)) return siblings;
    directories.add(directory);
    for (const sibling of this.#structural.get(directory) ?? []) {
      if (taken.length + siblings.length >= most) break;
      if (!isBeingWritten(sibling.steps)) siblings.push(sibling);
    }
    return siblings;
  }

  #take(entry: Entry, taken: HintedPath[]): boolean {
    if (!this.#entries.delete(entry.path)) return false;
    const directory = parentOf(entry.path);
    const siblings = this.#structural.get(directory);
    if (siblings?.delete(entry) && siblings.size === 0) this.#structural.delete(directory);
    taken.push(hintedOf(entry));
    return true;
  }
}

function hintedOf(entry: Entry): HintedPath {
  const { path, engine, steps, firstAt, lastAt } = entry;
  const actors = weakestFirst([...entry.actors.values()]);
  const through = entry.through.length > 0 && { through: entry.through };
  const inos = entry.inos.length > 0 && { inos: entry.inos };
  const from = [...entry.from];
  return { path, engine, steps, firstAt, lastAt, from, ...through, ...inos, actors };
}

function withName(names: readonly string[], name: string): readonly string[] {
  return names.includes(name) || names.length >= mostNames ? names : [...names, name];
}

/** Keeps the later description of a process, which knows at least as much. */
function involve(actors: Map<string, Actor>, actor: Actor, step: Step): void {
  const process = processOf(actor);
  const before = actors.get(process);
  const now = step === "attributes" || step === "closed" ? step : undefined;
  const only = before === undefined || before.only === now ? now : undefined;
  const joined = before ? withImagesOf(before, actor) : actor;
  actors.delete(process);
  actors.set(process, only === undefined ? joined : { ...joined, only });
  if (actors.size <= mostActors) return;
  const kept = new Set(atMost([...actors.values()], mostActors));
  for (const [key, one] of actors) if (!kept.has(one)) actors.delete(key);
}

const mostImages = 16;
/** Stands for programs that are no longer known. */
const lost: Image = { id: "0", from: 0, since: 0, comm: "" };

/** What an earlier description could not prove, a later one of the same program does not prove either. */
function withImagesOf(before: Actor, now: Actor): Actor {
  if (before.isProven && now.isProven) return now;
  const { isProven: _isProven, images, ...actor } = now;
  const earlier = before.images ?? [];
  const known = new Set(earlier.map(({ id }) => id));
  const later = (images ?? []).filter(({ id }) => !known.has(id));
  // Without images the earlier description does not say since when it holds: every note counts.
  const all = [...later.map((one) => (before.images ? one : { ...one, since: 0 })), ...earlier];
  if (all.length === 0) return actor;
  return { ...actor, images: all.length > mostImages ? [...all.slice(0, mostImages), lost] : all };
}

function processOf({ pid, exe, comm, candidates }: Actor): string {
  return `${pid} ${exe ?? comm ?? candidates?.join(" ") ?? ""}`;
}
