/** A program that may write from inside a static pod, as it was approved. */
export interface ApprovedProgram {
  /** Its path inside the container. */
  readonly exe: string;
  /** Of the executable. */
  readonly sha256: string;
}

/** The programs of the next statement: of those seen now what was seen, of the others what was approved before. */
export function mergePrograms(
  before: readonly ApprovedProgram[],
  seen: readonly ApprovedProgram[],
): readonly ApprovedProgram[] {
  const now = new Set(seen.map(({ exe }) => exe));
  const all = [...before.filter(({ exe }) => !now.has(exe)), ...seen];
  const texts = new Map(all.map((one) => [textOf(one), { exe: one.exe, sha256: one.sha256 }]));
  return [...texts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, one]) => one);
}

export function isSameProgram(a: ApprovedProgram, b: ApprovedProgram): boolean {
  return textOf(a) === textOf(b);
}

export function isProgram(value: unknown): value is ApprovedProgram {
  if (typeof value !== "object" || value === null) return false;
  const { exe, sha256 } = value as Partial<ApprovedProgram>;
  return typeof exe === "string" && typeof sha256 === "string";
}

function textOf({ exe, sha256 }: ApprovedProgram): string {
  return `${exe}\0${sha256}`;
}
