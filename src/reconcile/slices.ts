import type { PathHints } from "./hints.ts";

/** Hints that wait to be looked at, so many at a time. What renames join is never parted: apart, it means something else. */
export class Slices {
  readonly #waiting: Map<string, PathHints>;
  /** The other names of renames, both ways. */
  readonly #partners = new Map<string, Set<string>>();

  constructor(hints: Iterable<PathHints>) {
    this.#waiting = new Map([...hints].map((one) => [one.path, one]));
    for (const { path, from } of this.#waiting.values())
      for (const other of from) {
        this.#join(path, other);
        this.#join(other, path);
      }
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0;
  }

  take(most: number): readonly PathHints[] {
    const taken: PathHints[] = [];
    for (const path of this.#waiting.keys()) {
      if (taken.length >= most) break;
      this.#takeWithOthers(path, taken);
    }
    return taken;
  }

  takeAt(paths: readonly string[]): readonly PathHints[] {
    const taken: PathHints[] = [];
    for (const path of paths) if (this.#waiting.has(path)) this.#takeWithOthers(path, taken);
    return taken;
  }

  /** The same, but it goes on waiting. */
  at(paths: readonly string[]): readonly PathHints[] {
    return paths.map((path) => this.#waiting.get(path)).filter((one) => one !== undefined);
  }

  #join(path: string, other: string): void {
    const partners = this.#partners.get(path);
    if (partners) partners.add(other);
    else this.#partners.set(path, new Set([other]));
  }

  #takeWithOthers(first: string, taken: PathHints[]): void {
    const names = new Set([first]);
    // What is added to a set while it is gone through is come to as well.
    for (const name of names) {
      const hint = this.#waiting.get(name);
      if (hint && this.#waiting.delete(name)) taken.push(hint);
      for (const other of this.#partners.get(name) ?? []) names.add(other);
    }
  }
}
