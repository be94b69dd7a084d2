/** Milliseconds within which quick sweeps look at each path of a rule of severity high or critical. */
export const urgentWithin = 10_000;

/**
 * Share of one core that a quick sweep may take for the other paths when an engine watches them too: enough for some
 * 1,000 every five seconds.
 */
export const idleShare = 0.0005;

/** How many of the urgent paths each quick sweep looks at, with this many milliseconds between two. */
export function urgentPaths(count: number, every: number): number {
  return Math.ceil(count / Math.max(1, Math.floor(urgentWithin / every)));
}

/** Milliseconds in which quick sweeps look at every urgent path. */
export function urgentRound(every: number): number {
  return Math.max(every, Math.floor(urgentWithin / every) * every);
}
