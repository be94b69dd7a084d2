/** ', did you mean "severity"?' for a word that is two edits or fewer away from a known one, else nothing. */
export function nearest(word: string, known: readonly string[]): string {
  const [best] = known
    .map((one) => ({ one, edits: editsBetween(word.toLowerCase(), one.toLowerCase()) }))
    .filter(({ one, edits }) => edits <= 2 && edits < one.length)
    .toSorted((a, b) => a.edits - b.edits);
  return best ? `, did you mean ${JSON.stringify(best.one)}?` : "";
}

/** Levenshtein's distance, one row at a time. */
function editsBetween(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 0; i < from.length; i += 1) {
    const next = [i + 1];
    for (let j = 1; j <= to.length; j += 1) {
      const same = to[j - 1] === from[i] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + same));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
