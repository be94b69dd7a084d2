import { withoutProgram } from "./actors.ts";
import type { Actor, Image } from "./hint.ts";

/** When each of an actor's images changed the object, milliseconds on the monotonic clock. Undefined: not noted. */
export type Touches = readonly (number | undefined)[];

/**
 * The actor with the program that it ran when it made the change: the one that is noted to have changed the object. If
 * several are noted, or none, the actor has `candidates` instead of a program. `tick` is the resolution of change times
 * in milliseconds: a second change within one tick need not be noted.
 */
export function programOfChange(actor: Actor, touches: Touches, tick: number): Actor {
  const { images, ...rest } = actor;
  if (!images) return actor;
  const touching = images.filter((_, at) => touches[at] !== undefined);
  const [only] = touching;
  if (!only || touching.length > 1) return uncertain(rest, only ? touching : images);
  const { from: _from, id: _id, ...program } = only;
  const named = { ...withoutProgram(rest), ...program };
  const at = touches[images.indexOf(only)] ?? 0;
  const isAlone = runningIn(images, at, at + tick).length === 1;
  return isAlone && !images.some(isUnknown) ? { ...named, isProven: true } : named;
}

/** Stands for the programs before the history's oldest record of the process. */
function isUnknown({ from }: Image): boolean {
  return from === 0;
}

/** Images come with the latest first: each runs until the one before it in the list begins. */
function runningIn(images: readonly Image[], from: number, to: number): readonly Image[] {
  return images.filter((image, at) => {
    const next = images[at - 1];
    return image.from <= to && (!next || next.from >= from);
  });
}

function uncertain(actor: Actor, possible: readonly Image[]): Actor {
  const candidates = [...new Set(possible.map(({ exe }) => exe ?? "an unknown program"))];
  const files = new Set(possible.map(({ executable }) => `${executable?.dev} ${executable?.ino}`));
  const [image] = possible;
  if (candidates.length > 1 || files.size > 1 || image === undefined)
    return { ...withoutProgram(actor), candidates };
  // The same program twice: a fork and its execution, or an execution of itself.
  const { from: _from, id: _id, cmdline: _cmdline, ...program } = image;
  return { ...withoutProgram(actor), ...program };
}
