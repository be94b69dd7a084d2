import type { Change } from "../core/change/change.ts";
import type { Actor } from "../core/change/hint.ts";
import { programOfChange } from "../core/change/images.ts";
import type { Touches } from "../core/change/images.ts";
import type { Observation } from "../core/change/observation.ts";
import { parentOf } from "../core/path.ts";
import type { NodeView } from "./look.ts";

type Inode = Pick<Observation, "dev" | "ino">;

/** Notes that a program changed an inode. */
export interface TouchNotes {
  /** Milliseconds between two ticks of the kernel. */
  readonly tick: number;
  /** For each image of the actor when it last changed the inode, milliseconds on the monotonic clock. */
  readonly touchesOf: (actor: Actor, inode: Inode) => Touches;
}

/** The actors, each with the program that it ran when it made the change. */
export function withPrograms(
  change: Change,
  actors: readonly Actor[],
  view: NodeView,
): readonly Actor[] {
  if (!actors.some(({ images }) => images)) return actors;
  const { tick, touchesOf } = view.touches ?? nothingNoted;
  return actors.map((actor) => {
    for (const inode of inodesOf(change, view)) {
      const touches = touchesOf(actor, inode);
      if (touches.some((at) => at !== undefined)) return programOfChange(actor, touches, tick);
    }
    return programOfChange(actor, [], tick);
  });
}

const nothingNoted: TouchNotes = { tick: Infinity, touchesOf: () => [] };

/** The inodes that the change made dirty, the most specific first: a directory changes with each of its names. */
function* inodesOf(change: Change, { observer }: NodeView): Iterable<Inode> {
  switch (change.kind) {
    case "modified":
    case "renamed":
      yield change.after;
      return;
    case "created":
      yield change.after;
      break;
    case "deleted":
      yield change.before;
      break;
    case "transient":
      if (change.before) yield change.before;
      break;
    case "mounted":
    case "unmounted":
    case "unreadable":
      return;
  }
  const directory = observer.observe(parentOf(change.path), { hash: false });
  if (directory) yield directory;
}
