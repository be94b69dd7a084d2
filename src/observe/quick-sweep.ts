import { lstatSync } from "node:fs";
import type { Observation } from "../core/change/observation.ts";
import { fsPath } from "../core/path.ts";
import { close, lookFlags, openInRoot, openRoot } from "../linux/files.ts";
import { Stat } from "../linux/statx.ts";

/** Milliseconds of the inode's last change, to a quarter of a microsecond. BigInts would be three times the work. */
type Fingerprint = number;
const absent: Fingerprint = -1;

/**
 * The quick sweep: the change time of every known inode, in memory. Whatever is done to an inode (content, mode,
 * owner, xattr, flags, links) moves its ctime (inode(7)), and a directory's tells that an entry came or went.
 */
export class QuickSweep implements Disposable {
  /** Absent: it is our own, and two calls can be spared. */
  readonly #root: Root | undefined;
  readonly #urgent = new Ring();
  readonly #others = new Ring();
  /** No rule holds for them, only for what is in them. */
  readonly #places = new Map<string, Fingerprint>();
  #present = 0;

  constructor(root: string) {
    this.#root = root === "/" ? undefined : new Root(root);
  }

  [Symbol.dispose](): void {
    this.#root?.[Symbol.dispose]();
  }

  /** How many of the known paths are there. */
  get present(): number {
    return this.#present;
  }

  /** What the last look saw. Urgent paths have a budget of their own in every sweep. */
  learn(path: string, observation: Observation | undefined, urgent: boolean): void {
    this.forget(path);
    if (observation) this.#present += 1;
    const seen = observation ? fingerprintOf(observation) : absent;
    (urgent ? this.#urgent : this.#others).seen.set(path, seen);
  }

  /**
   * A directory in which watched paths lie, or will. Nobody keeps what was seen of it: from now on the last sweep is
   * what the next one is held against.
   */
  learnPlace(path: string): void {
    this.#places.set(path, this.#now(path));
  }

  /** Forgets a path that nobody waits for. */
  forget(path: string): void {
    const seen = this.#urgent.seen.get(path) ?? this.#others.seen.get(path);
    if (seen !== undefined && seen !== absent) this.#present -= 1;
    this.#urgent.seen.delete(path);
    this.#others.seen.delete(path);
  }

  /**
   * Paths that are no longer as they were seen: of as many urgent ones, and of as many others, as the budgets (ms)
   * allow. The next sweep goes on where this one ended.
   */
  sweep(budget: number, urgentBudget = Infinity): readonly string[] {
    return [
      ...this.#movedPlaces(),
      ...this.#moved(this.#urgent, urgentBudget),
      ...this.#moved(this.#others, budget),
    ];
  }

  #moved(ring: Ring, budget: number): string[] {
    const moved: string[] = [];
    const until = performance.now() + budget;
    for (let steps = ring.seen.size; steps > 0 && performance.now() < until; steps -= 1) {
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

/** A root other than ours: absolute symbolic links lead to what lies inside of it. */
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

/** Paths with what was seen of them, in a circle. */
class Ring {
  readonly seen = new Map<string, Fingerprint>();
  #rest: Iterator<[string, Fingerprint]> | undefined;

  /** The next one. Undefined: the circle is empty. */
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
