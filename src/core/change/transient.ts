import type { Change } from "./change.ts";
import { compare } from "./compare.ts";
import type { Look } from "./compare.ts";
import type { Step } from "./hint.ts";

/**
 * A change that was over before anyone could look: nothing is left of it but what the kernel said.
 * Undefined: the look shows it, or the kernel's word is no evidence ("changed" is a guess of an engine that cannot tell).
 */
export function transient(look: Look, steps: readonly Step[]): Change | undefined {
  const told = toldSteps(steps);
  if (told.length === 0) return undefined;
  const { path, before, after } = look;
  // A name that was there for a moment: made there, or moved there.
  const appeared = told.includes("created") || told.includes("renamed");
  if (!before && !after) return appeared ? { kind: "transient", path, steps: told } : undefined;
  if (!before || !after || compare(look)) return undefined;
  // A write moves mtime, and to put that back is a step of its own: without one it was only open for writing.
  if (steps.every((step) => step === "closed" || step === "changed")) return undefined;
  return before.ctime === after.ctime
    ? undefined
    : { kind: "transient", path, steps: told, before };
}

/** A file that was closed after writing was modified: mmap(2) writes say nothing else. */
function toldSteps(steps: readonly Step[]): readonly Step[] {
  const named = steps
    .filter((step) => step !== "changed")
    .map((step): Step => (step === "closed" ? "modified" : step));
  return named.filter((step, at) => step !== named[at - 1]);
}
