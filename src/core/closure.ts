/** The start, and everything that `next` leads to from there, each once, in the order of discovery. */
export function closure<T>(start: Iterable<T>, next: (item: T) => Iterable<T>): Set<T> {
  const all = new Set(start);
  // A Set's iterator also visits what is added during the iteration (ECMA-262, Set.prototype.values).
  for (const item of all) for (const other of next(item)) all.add(other);
  return all;
}
