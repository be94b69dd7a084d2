import type { Change } from "./change.ts";
import { compare } from "./compare.ts";
import type { Look } from "./compare.ts";
import type { Step } from "./hint.ts";

/**
 * A change that ended before a look: only the kernel's events show it. Undefined: the look shows it, or the events
 * prove nothing ("changed" is a guess of an engine that cannot say).
 */
export function transient(look: Look, steps: readonly Step[]): Change | undefined {
  const proven = provenSteps(steps);
  if (proven.length === 0) return undefined;
  const { path, before, after } = look;
  // A name that existed briefly: made or moved there.
  const appeared = proven.includes("created") || proven.includes("renamed");
  if (!before && !after) return appeared ? { kind: "transient", path, steps: proven } : undefined;
  if (!before || !after || compare(look)) return undefined;
  // A write moves mtime, and setting mtime back is a step of its own: without that step the file was only opened for
  // writing.
  if (steps.every((step) => step === "closed" || step === "changed")) return undefined;
  return before.ctime === after.ctime
    ? undefined
    : { kind: "transient", path, steps: proven, before };
}

/** A file closed after writing was modified: mmap(2) writes give no other event. */
function provenSteps(steps: readonly Step[]): readonly Step[] {
  const named = steps
    .filter((step) => step !== "changed")
    .map((step): Step => (step === "closed" ? "modified" : step));
  return named.filter((step, at) => step !== named[at - 1]);
}
