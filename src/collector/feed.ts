/** Wakes the readers of the alerts when new ones may be stored. */
export class Feed {
  readonly #followers = new Set<() => void>();

  /** Calls this after each change, until the returned function is called. */
  follow(notify: () => void): () => void {
    this.#followers.add(notify);
    return () => this.#followers.delete(notify);
  }

  wake(): void {
    for (const notify of this.#followers) notify();
  }

  get size(): number {
    return this.#followers.size;
  }
}
