import type { Observation } from "../core/change/observation.ts";
import { isStructural } from "../core/change/wait.ts";
import { HashPool } from "../observe/hash/pool.ts";
import { joinHints } from "./hints.ts";
import type { PathHints } from "./hints.ts";

/** To hash a larger file takes so long that what else happened is not to wait for it. */
export const largeBytes = 64 * 1024 * 1024;
/** And for one that is larger still, the programs of a node, which are large, are not to wait. */
export const hugeBytes = 1024 * 1024 * 1024;

/** What tells which hints have to wait for a large file. */
export interface Gauge {
  /** What is at the path, when that is a large file whose content is wanted. */
  large(path: string): Observation | undefined;
  /** Under which its inode is known. */
  namesOf(seen: Observation): readonly string[];
}

/** A large file, or several that renames join, with all hints that must not be separated from it. */
export interface Batch {
  readonly hints: readonly PathHints[];
  readonly names: ReadonlySet<string>;
  /** Of the largest. */
  readonly size: number;
}

/** Hints of large files, each with those that renames join with it, and all others. */
export function apart(
  hints: readonly PathHints[],
  gauge: Gauge,
): { readonly batches: readonly Batch[]; readonly rest: readonly PathHints[] } {
  const named = Map.groupBy(
    hints.flatMap((hint) => [hint.path, ...hint.from].map((name) => ({ name, hint }))),
    ({ name }) => name,
  );
  const sizes = new Map<string, number>();
  const others = new Map<string, readonly string[]>();
  const first: string[] = [];
  for (const hint of hints) {
    const { path } = hint;
    if (named.get(path)?.length === 1 && isInPlace(hint)) continue;
    const seen = gauge.large(path);
    if (!seen) continue;
    sizes.set(path, seen.size);
    others.set(path, gauge.namesOf(seen));
    first.push(path);
  }
  const taken = new Set<PathHints>();
  const batches = first.flatMap((path) => {
    const names = new Set([path]);
    const own = new Set<PathHints>();
    // What is added to a set while it is gone through is come to as well.
    for (const name of names)
      for (const { hint } of named.get(name) ?? []) {
        if (taken.has(hint)) continue;
        taken.add(hint);
        own.add(hint);
        for (const one of [hint.path, ...hint.from, ...(others.get(hint.path) ?? [])])
          names.add(one);
      }
    if (own.size === 0) return [];
    const size = Math.max(0, ...[...names].map((name) => sizes.get(name) ?? 0));
    return [{ hints: hints.filter((hint) => own.has(hint)), names, size }];
  });
  return { batches, rest: hints.filter((hint) => !taken.has(hint)) };
}

/** No name is in question, so that it need not be asked here how large the file is: the look that follows leaves it. */
function isInPlace({ steps, from }: PathHints): boolean {
  return from.length === 0 && !isStructural(steps) && !steps.includes("changed");
}

/** One after the other, up to some size, in a pool of its own. */
export interface Lane {
  readonly pool: HashPool;
  /** Bytes. */
  readonly limit: number;
}

type Handle = (hints: readonly PathHints[], lane: Lane) => Promise<void>;

/**
 * What waits for large files. Two lanes, that of the huge ones for itself, so that nobody hides behind one what he does
 * to the node's programs; in each one batch at a time, the smallest first. A path may be in both, and in a group of small files
 * too: who finds that another was first looks again.
 */
export class LargeFiles implements Disposable {
  readonly #handle: Handle;
  readonly #lanes: readonly Lane[];
  readonly #running = new Map<Lane, { readonly batch: Batch; readonly ended: Promise<void> }>();
  readonly #failure = Promise.withResolvers<never>();
  /** No two of them share a name. */
  #waiting: Batch[] = [];

  constructor(root: string, handle: Handle) {
    this.#handle = handle;
    this.#lanes = [hugeBytes, Infinity].map((limit) => ({
      limit,
      pool: new HashPool({ root, workers: 1 }),
    }));
    this.#failure.promise.catch(() => undefined);
  }

  /** Never resolved; rejected by a bug. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  holds(path: string): boolean {
    return this.#batches().some(({ names }) => names.has(path));
  }

  /** Joins it with whatever waits and has a name in common with it. */
  add(batch: Batch): void {
    const joined = this.#waiting.filter((one) => shareName(one, batch));
    this.#waiting = this.#waiting.filter((one) => !joined.includes(one));
    this.#waiting.push(join([...joined, batch]));
    this.#start();
  }

  async ended(): Promise<void> {
    while (this.#running.size > 0)
      await Promise.all([...this.#running.values()].map(({ ended }) => ended));
  }

  [Symbol.dispose](): void {
    this.#waiting = [];
    for (const { pool } of this.#lanes) pool[Symbol.dispose]();
  }

  #batches(): readonly Batch[] {
    return [...this.#waiting, ...[...this.#running.values()].map(({ batch }) => batch)];
  }

  #start(): void {
    for (const lane of this.#lanes) {
      const batch = this.#running.has(lane) ? undefined : this.#next(lane);
      if (!batch) continue;
      this.#waiting = this.#waiting.filter((one) => one !== batch);
      this.#running.set(lane, { batch, ended: this.#run(batch, lane) });
    }
  }

  #next(lane: Lane): Batch | undefined {
    return this.#waiting
      .filter(({ size }) => this.#lanes.find(({ limit }) => size <= limit) === lane)
      .toSorted((a, b) => a.size - b.size)[0];
  }

  async #run(batch: Batch, lane: Lane): Promise<void> {
    try {
      await this.#handle(batch.hints, lane);
    } catch (error) {
      this.#failure.reject(error);
    }
    this.#running.delete(lane);
    if (!lane.pool.isClosed) this.#start();
  }
}

function shareName(one: Batch, other: Batch): boolean {
  return [...one.names].some((name) => other.names.has(name));
}

function join(batches: readonly Batch[]): Batch {
  const hints = joinHints(batches.flatMap((batch) => batch.hints));
  return {
    hints: [...hints.values()],
    names: new Set(batches.flatMap(({ names }) => [...names])),
    // As it is now: what is larger still the lane leaves to the next one.
    size: batches.at(-1)?.size ?? 0,
  };
}
