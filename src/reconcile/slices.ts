import { closure } from "../core/closure.ts";
import type { PathHints } from "./hints.ts";

/** Hands out waiting hints in slices. Hints that renames join stay together, because apart they mean something else. */
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

  /** The same, but the hints stay. */
  at(paths: readonly string[]): readonly PathHints[] {
    return paths.map((path) => this.#waiting.get(path)).filter((one) => one !== undefined);
  }

  #join(path: string, other: string): void {
    const partners = this.#partners.get(path);
    if (partners) partners.add(other);
    else this.#partners.set(path, new Set([other]));
  }

  #takeWithOthers(first: string, taken: PathHints[]): void {
    for (const name of closure([first], (one) => this.#partners.get(one) ?? [])) {
      const hint = this.#waiting.get(name);
      if (hint && this.#waiting.delete(name)) taken.push(hint);
    }
  }
}
