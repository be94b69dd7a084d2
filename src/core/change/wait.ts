import type { EngineName, Step } from "./hint.ts";

/** Milliseconds: no path waits longer from its first hint. */
export const longestWait = 1000;

/** Milliseconds: paths that fall due this close together are looked at together. */
export const together = 15;

const structuralQuiet = 30;
const writingQuiet = 200;
const unknownQuiet = 40;
const mostSteps = 32;

/**
 * Milliseconds of quiet after the last of these steps before the path is looked at, so that one save is one change. A
 * name that comes or goes, or is unknown, may be half of a save; a file being written is looked at when it is closed;
 * a single step on a known path is complete.
 */
export function quietTime(steps: readonly Step[], isKnown: boolean, engine: EngineName): number {
  if (engine === "chokidar" || steps.includes("changed")) return unknownQuiet;
  if (isBeingWritten(steps)) return writingQuiet;
  return isKnown && !isStructural(steps) ? 0 : structuralQuiet;
}

/** Whether a step made, removed or moved a name. */
export function isStructural(steps: readonly Step[]): boolean {
  return steps.some((step) => {
    switch (step) {
      case "created":
      case "deleted":
      case "renamed":
      case "linked":
        return true;
      case "changed":
      case "modified":
      case "closed":
      case "attributes":
        return false;
    }
  });
}

/** Written and, as far as the engine knows, not closed or removed since. */
export function isBeingWritten(steps: readonly Step[]): boolean {
  for (const step of steps.toReversed()) {
    if (step === "modified" || step === "changed") return true;
    if (step === "closed" || step === "deleted" || step === "renamed") return false;
  }
  return false;
}

/** In order, without repeats in a row, bounded: drops from the middle. */
export function appendStep(steps: readonly Step[], step: Step): readonly Step[] {
  if (steps.at(-1) === step) return steps;
  return steps.length < mostSteps ? [...steps, step] : [...steps.slice(0, -1), step];
}
