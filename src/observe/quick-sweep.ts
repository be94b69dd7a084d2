import { lstatSync } from "node:fs";
import type { Observation } from "../core/change/observation.ts";
import { fsPath } from "../core/path.ts";
import { close, lookFlags, openInRoot, openRoot } from "../linux/files.ts";
import { Stat } from "../linux/statx.ts";

/**
 * Milliseconds of the inode's change time, exact to a quarter of a microsecond. BigInts would be three times the
 * work.
 */
type Fingerprint = number;
const absent: Fingerprint = -1;

/**
 * The quick sweep: keeps the change time of every known inode in memory. Every change of an inode (content, mode,
 * owner, xattr, flags, links) moves its ctime (inode(7)), and a directory's ctime moves when an entry comes or goes.
 */
export class QuickSweep implements Disposable {
  /** Absent for our own root, which saves two calls a path. */
  readonly #root: Root | undefined;
  readonly #urgent = new Ring();
  readonly #others = new Ring();
  /** Directories without a rule of their own that lead to watched paths. */
  readonly #places = new Map<string, Fingerprint>();
  #present = 0;

  constructor(root: string) {
    this.#root = root === "/" ? undefined : new Root(root);
  }

  [Symbol.dispose](): void {
    this.#root?.[Symbol.dispose]();
  }

  /** Number of known paths that exist. */
  get present(): number {
    return this.#present;
  }

  get urgent(): number {
    return this.#urgent.seen.size;
  }

  /** How many sweeps like the last one look at each of the other paths once. */
  get sweepsForOthers(): number {
    return Math.ceil(this.#others.seen.size / Math.max(1, this.#others.last));
  }

  /** Notes the last look. Each sweep looks at a number of urgent paths, however long that takes. */
  learn(path: string, observation: Observation | undefined, urgent: boolean): void {
    this.forget(path);
    if (observation) this.#present += 1;
    const seen = observation ? fingerprintOf(observation) : absent;
    (urgent ? this.#urgent : this.#others).seen.set(path, seen);
  }

  /**
   * A directory that leads to watched paths. No observation of it is stored: each sweep compares it with the last
   * sweep.
   */
  learnPlace(path: string): void {
    this.#places.set(path, this.#now(path));
  }

  /** Forgets a path. */
  forget(path: string): void {
    const seen = this.#urgent.seen.get(path) ?? this.#others.seen.get(path);
    if (seen !== undefined && seen !== absent) this.#present -= 1;
    this.#urgent.seen.delete(path);
    this.#others.seen.delete(path);
  }

  /**
   * Paths that differ from the last look: of a number of urgent ones, and of as many others as the budget (ms) allows. The
   * next sweep continues there.
   */
  sweep(budget: number, urgent = Infinity): readonly string[] {
    return [
      ...this.#movedPlaces(),
      ...this.#moved(this.#urgent, { most: urgent, budget: Infinity }),
      ...this.#moved(this.#others, { most: Infinity, budget }),
    ];
  }

  #moved(ring: Ring, { most, budget }: { most: number; budget: number }): string[] {
    const moved: string[] = [];
    const until = performance.now() + budget;
    const steps = Math.min(most, ring.seen.size);
    for (ring.last = 0; ring.last < steps && performance.now() < until; ring.last += 1) {
      const next = ring.next();
      if (next && this.#now(next[0]) !== next[1]) moved.push(next[0]);
    }
    return moved;
  }

  #movedPlaces(): string[] {
    const moved: string[] = [];
    for (const [path, seen] of this.#places) {
      const now = this.#now(path);
      if (now === seen) continue;
      this.#places.set(path, now);
      moved.push(path);
    }
    return moved;
  }

  #now(path: string): Fingerprint {
    if (this.#root !== undefined) return this.#root.ctime(path) ?? absent;
    try {
      return lstatSync(fsPath(path), { throwIfNoEntry: false })?.ctimeMs ?? absent;
    } catch {
      return absent;
    }
  }
}

/** A root other than ours, with absolute symbolic links resolved inside of it. */
class Root implements Disposable {
  readonly #fd: number;
  readonly #stat = new Stat();

  constructor(root: string) {
    this.#fd = openRoot(root);
  }

  ctime(path: string): Fingerprint | undefined {
    const fd = openInRoot(this.#fd, path, lookFlags);
    if (fd < 0) return undefined;
    try {
      if (this.#stat.fill(fd) !== 0) return undefined;
      const { seconds, nanoseconds } = this.#stat.ctime;
      return seconds * 1000 + nanoseconds / 1e6;
    } finally {
      close(fd);
    }
  }

  [Symbol.dispose](): void {
    close(this.#fd);
  }
}

/** Paths with their change times, in a circle. */
class Ring {
  readonly seen = new Map<string, Fingerprint>();
  /** Paths that the last sweep looked at. */
  last = 0;
  #rest: Iterator<[string, Fingerprint]> | undefined;

  /** The next entry. Undefined: empty. */
  next(): [string, Fingerprint] | undefined {
    for (let round = 0; round < 2; round += 1) {
      this.#rest ??= this.seen.entries();
      const step = this.#rest.next();
      if (!step.done) return step.value;
      this.#rest = undefined;
    }
    return undefined;
  }
}

function fingerprintOf({ ctime }: Observation): Fingerprint {
  return Date.parse(`${ctime.slice(0, 19)}Z`) + Number(ctime.slice(20, 29)) / 1e6;
}
