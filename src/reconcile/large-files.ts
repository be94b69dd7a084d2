import { hugeBytes } from "../core/size-class.ts";
import { closure } from "../core/closure.ts";
import type { Observation } from "../core/change/observation.ts";
import { isStructural } from "../core/change/wait.ts";
import { HashPool } from "../observe/hash/pool.ts";
import { joinHints } from "./hints.ts";
import type { PathHints } from "./hints.ts";

/** Finds the hints that have to wait for a large file. */
export interface Gauge {
  /** The observation at the path, when it is a large file whose content must be hashed. */
  large(path: string): Observation | undefined;
  /** All names under which the inode is known. */
  namesOf(seen: Observation): readonly string[];
}

/** A large file, or several that renames join, with all hints that belong together. */
export interface Batch {
  readonly hints: readonly PathHints[];
  readonly names: ReadonlySet<string>;
  /** Size of the largest file in bytes. */
  readonly size: number;
}

/** Separates the hints of large files, each with those that renames join with it, from the rest. */
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
    const own = new Set<PathHints>();
    const names = closure([path], (name) =>
      (named.get(name) ?? []).flatMap(({ hint }) => {
        if (taken.has(hint)) return [];
        taken.add(hint);
        own.add(hint);
        return [hint.path, ...hint.from, ...(others.get(hint.path) ?? [])];
      }),
    );
    if (own.size === 0) return [];
    const size = Math.max(0, ...[...names].map((name) => sizes.get(name) ?? 0));
    return [{ hints: hints.filter((hint) => own.has(hint)), names, size }];
  });
  return { batches, rest: hints.filter((hint) => !taken.has(hint)) };
}

/** No rename is involved, so the look that follows finds out how large the file is. */
function isInPlace({ steps, from }: PathHints): boolean {
  return from.length === 0 && !isStructural(steps) && !steps.includes("changed");
}

/** One file at a time, up to some size, with a hash pool of its own. */
export interface Lane {
  readonly pool: HashPool;
  /** Bytes. */
  readonly limit: number;
}

type Handle = (hints: readonly PathHints[], lane: Lane) => Promise<void>;

/**
 * Hashes large files in two lanes, so that a huge decoy file cannot delay changes to the node's programs. Each lane
 * takes the smallest batch first. A path may be in both lanes and in a group of small files: the later one looks
 * again.
 */
export class LargeFiles implements Disposable {
  readonly #handle: Handle;
  readonly #lanes: readonly Lane[];
  readonly #running = new Map<Lane, { readonly batch: Batch; readonly ended: Promise<void> }>();
  readonly #failure = Promise.withResolvers<never>();
  /** No two batches share a name. */
  #waiting: Batch[] = [];

  constructor(root: string, handle: Handle) {
    this.#handle = handle;
    this.#lanes = [hugeBytes, Infinity].map((limit) => ({
      limit,
      pool: new HashPool({ root, workers: 1 }),
    }));
    this.#failure.promise.catch(() => undefined);
  }

  /** Never resolves; rejects after a bug. */
  get failed(): Promise<never> {
    return this.#failure.promise;
  }

  holds(path: string): boolean {
    return this.#batches().some(({ names }) => names.has(path));
  }

  /** Joins the batch with waiting batches that share a name. */
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
    // The latest size. The lane leaves a file that grew beyond its limit to the next lane.
    size: batches.at(-1)?.size ?? 0,
  };
}
