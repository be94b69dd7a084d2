import type { EngineName, Hint } from "../core/change/hint.ts";

/** What an engine calls this many hints unread is not slowness but a storm; one hint costs about 200 bytes. */
const usualLimit = 100_000;

/**
 * From an engine's callbacks to its one reader. Past the limit it forgets the paths that wait and says
 * "overflow" once, instead of growing; what is not a path (a mount, an unwatched directory) is kept.
 */
export class HintQueue implements AsyncIterable<Hint>, Disposable {
  readonly #engine: EngineName;
  readonly #limit: number;
  #waiting: Hint[] = [];
  #taken = 0;
  #overflowed = false;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(engine: EngineName, limit: number = usualLimit) {
    this.#engine = engine;
    this.#limit = limit;
  }

  get size(): number {
    return this.#waiting.length - this.#taken;
  }

  /** Never blocks. After the end it does nothing. A hint of kind "failed" is the last one. */
  push(hint: Hint): void {
    if (this.#ended) return;
    const isPlace = hint.kind === "path" || hint.kind === "tree";
    if (this.#overflowed && isPlace) return;
    this.#waiting.push(hint);
    if (this.size > this.#limit) this.#collapse(hint.at);
    if (hint.kind === "failed") this.#ended = true;
    this.#wake?.();
  }

  /** What waits is still read, then the reader is done. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.end();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Hint, void, undefined> {
    for (;;) {
      const hint = this.#take();
      if (hint) yield hint;
      else if (this.#ended) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    }
  }

  #take(): Hint | undefined {
    const hint = this.#waiting[this.#taken];
    if (!hint) return undefined;
    this.#taken += 1;
    if (hint.kind === "overflow") this.#overflowed = false;
    if (this.#taken === this.#waiting.length || this.#taken >= 1024) {
      this.#waiting = this.#waiting.slice(this.#taken);
      this.#taken = 0;
    }
    return hint;
  }

  #collapse(at: number): void {
    const kept = this.#waiting
      .slice(this.#taken)
      .filter((hint) => hint.kind !== "path" && hint.kind !== "tree" && hint.kind !== "overflow");
    const detail = `more than ${this.#limit} hints waited to be read`;
    const overflow: Hint = { kind: "overflow", engine: this.#engine, at, detail };
    this.#waiting = [overflow, ...kept.slice(-Math.ceil(this.#limit / 2))];
    this.#taken = 0;
    this.#overflowed = true;
  }
}
