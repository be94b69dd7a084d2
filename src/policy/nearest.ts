import { distance } from "fastest-levenshtein";

/** ', did you mean "severity"?' for a word that is two edits or fewer away from a known one, else nothing. */
export function nearest(word: string, known: readonly string[]): string {
  const [best] = known
    .map((one) => ({ one, edits: distance(word.toLowerCase(), one.toLowerCase()) }))
    .filter(({ one, edits }) => edits <= 2 && edits < one.length)
    .toSorted((a, b) => a.edits - b.edits);
  return best ? `, did you mean ${JSON.stringify(best.one)}?` : "";
}
