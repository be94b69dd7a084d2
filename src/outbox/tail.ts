/** The end of the chain, kept apart from the records so that cutting off the last ones shows. */
export interface Tail {
  readonly seq: number;
  readonly hash: string;
  /** Total bytes of all records ever written. */
  readonly total: number;
}

export const headKey = "head";

export function parseTail(text: string | undefined): Tail | undefined {
  try {
    const value = JSON.parse(text ?? "") as Partial<Tail>;
    const good =
      Number.isSafeInteger(value.seq) &&
      typeof value.hash === "string" &&
      Number.isSafeInteger(value.total);
    return good ? (value as Tail) : undefined;
  } catch {
    return undefined;
  }
}
