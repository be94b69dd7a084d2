import type { EngineName, Hint } from "../core/change/hint.ts";
import { isBelow, showPath } from "../core/path.ts";
import { quietTime, together } from "../core/change/wait.ts";
import type { Clock } from "./clock.ts";
import { PendingPaths } from "./pending.ts";
import type { HintedPath, PathHint } from "./pending.ts";

interface HintedTree {
  readonly path: string;
  readonly engine: EngineName;
  /** Milliseconds since 1970, of the last hint. */
  readonly at: number;
  readonly why: string;
}

/** Paths and trees to look at together. Paths below a tree carry evidence for its sweep. */
export interface HintGroup {
  readonly paths: readonly HintedPath[];
  readonly trees: readonly HintedTree[];
  /** Overflows, mounts, unwatched directories and failures, passed on at once. */
  readonly others: readonly Exclude<Hint, { readonly kind: "path" | "tree" }>[];
}

interface CoalescerOptions {
  /** Whether the path is in the current state. Called once for each hinted path, so it must be cheap. */
  readonly isKnown: (path: string) => boolean;
  /** A look because of this hint would find nothing: drop it, unless the path waits for other reasons. */
  readonly isIdle?: (hint: PathHint) => boolean;
  readonly clock: Clock;
  /** Called when too many hints wait: a sweep finds the changes, but their actors are lost. */
  readonly onOverflow?: (engine: EngineName, detail: string) => void;
  /** Paths in a group, without those below a tree. */
  readonly mostPaths?: number;
  readonly mostPending?: number;
}

interface WaitingTree extends HintedTree {
  readonly due: number;
  /** Too much waited below it: drop further hints, the sweep finds the changes. */
  readonly swallows: boolean;
}

/** Decides when hinted paths are looked at and with which others, so that one save is one change. Has one reader. */
export class Coalescer implements AsyncIterable<HintGroup>, Disposable {
  readonly #clock: Clock;
  readonly #pending: PendingPaths;
  readonly #isIdle: (hint: PathHint) => boolean;
  readonly #onOverflow: CoalescerOptions["onOverflow"];
  readonly #mostPaths: number;
  readonly #mostPending: number;
  readonly #trees = new Map<string, WaitingTree>();
  #others: HintGroup["others"][number][] = [];
  #cancel: (() => void) | undefined;
  #wakeAt = Infinity;
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(options: CoalescerOptions) {
    this.#clock = options.clock;
    this.#pending = new PendingPaths(options.isKnown);
    this.#isIdle = options.isIdle ?? (() => false);
    this.#onOverflow = options.onOverflow;
    this.#mostPaths = options.mostPaths ?? 500;
    this.#mostPending = options.mostPending ?? 50_000;
  }

  /** Waiting paths and trees. */
  get size(): number {
    return this.#pending.size + this.#trees.size;
  }

  add(hint: Hint): void {
    if (this.#ended) return;
    switch (hint.kind) {
      case "path":
        this.#addPath(hint);
        return;
      case "tree":
        this.#addTree(hint, false);
        return;
      case "overflow":
      case "unwatched":
      case "mounted":
      case "unmounted":
      case "failed":
        this.#others.push(hint);
        this.#wakeBy(this.#clock.now());
    }
  }

  /** The hints that wait at these paths. "taken": they leave the queue. "noted": they stay. */
  waitingAt(paths: readonly string[], use: "taken" | "noted"): readonly HintedPath[] {
    return use === "taken" ? this.#pending.takeAt(paths) : this.#pending.at(paths);
  }

  /** Makes everything that waits due, then ends the reader. */
  end(): void {
    this.#ended = true;
    this.#cancel?.();
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<HintGroup, void, undefined> {
    for (;;) {
      const group = this.#take();
      if (group) yield group;
      else if (this.#ended) return;
      else await this.#untilDue();
    }
  }

  #addPath(hint: PathHint): void {
    if (!this.#pending.has(hint.path) && this.#isIdle(hint)) return;
    for (const tree of this.#trees.values()) {
      if (tree.swallows && isBelow(hint.path, tree.path)) return;
    }
    const due = this.#pending.add(hint, this.#clock.now());
    if (this.#pending.size > this.#mostPending) this.#collapse(hint);
    else this.#wakeBy(due);
  }

  #addTree(hint: Extract<Hint, { readonly kind: "tree" }>, swallows: boolean): void {
    const now = this.#clock.now();
    const earlier = this.#trees.get(hint.path);
    for (const tree of this.#trees.values()) {
      if (isBelow(hint.path, tree.path)) return;
      if (isBelow(tree.path, hint.path)) this.#trees.delete(tree.path);
    }
    const due = earlier?.due ?? now + quietTime(["created"], false, hint.engine);
    const { path, engine, at, why } = hint;
    const keepsNothing = swallows || (earlier?.swallows ?? false);
    this.#trees.set(path, { path, engine, at, why, due, swallows: keepsNothing });
    this.#wakeBy(due);
  }

  #collapse(last: PathHint): void {
    const path = this.#pending.crowdedDirectory();
    const dropped = this.#pending.takeBelow(path).length;
    const why = `${dropped} hints waited below it`;
    this.#onOverflow?.(last.engine, `${why}: ${showPath(path).text}`);
    this.#addTree({ kind: "tree", engine: last.engine, at: last.at, path, why }, true);
  }

  #untilDue(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
      this.#wakeBy(this.#nextDue());
    });
  }

  /** These need no settling: due at any time. */
  #nextDue(): number {
    if (this.#others.length > 0) return -Infinity;
    let next = this.#pending.nextDue ?? Infinity;
    for (const { due } of this.#trees.values()) next = Math.min(next, due);
    return next;
  }

  /** Schedules nothing without a reader: due hints keep gathering until it asks. */
  #wakeBy(due: number): void {
    if (!this.#wake || due >= this.#wakeAt) return;
    this.#cancel?.();
    this.#wakeAt = due;
    this.#cancel = this.#clock.after(due - this.#clock.now(), () => {
      this.#wakeAt = Infinity;
      this.#cancel = undefined;
      this.#wake?.();
    });
  }

  #take(): HintGroup | undefined {
    const now = this.#ended ? Infinity : this.#clock.now();
    const next = this.#nextDue();
    if (next === Infinity || next > now) return undefined;
    const until = now + together;
    const others = this.#others;
    this.#others = [];
    const trees: HintedTree[] = [];
    const paths: HintedPath[] = [];
    for (const { due, swallows: _, ...tree } of this.#trees.values()) {
      if (due > until) continue;
      this.#trees.delete(tree.path);
      trees.push(tree);
      // One at a time: as arguments of one call they could overflow the stack.
      for (const one of this.#pending.takeBelow(tree.path)) paths.push(one);
    }
    paths.push(...this.#pending.takeDue(until, this.#mostPaths - paths.length));
    return { paths, trees, others };
  }
}
