import { atMost, weakestFirst } from "../core/change/actors.ts";
import type { Actor, EngineName, Step } from "../core/change/hint.ts";
import { appendStep } from "../core/change/wait.ts";

/** All hints of one path since the last look at it. */
export interface PathHints {
  readonly path: string;
  readonly steps: readonly Step[];
  readonly from: readonly string[];
  /** Other names (hard links) through which the file was changed. */
  readonly through?: readonly string[];
  /** Numbers of the inodes that the events were about. */
  readonly inos?: readonly string[];
  readonly actors: readonly Actor[];
  /** Of the last hint, milliseconds since 1970. */
  readonly lastAt: number;
  readonly engine: EngineName;
}

/** Actors and other names kept for one path while it waits. */
const mostKept = 10;

/** Joins the earlier hints of a path with the later ones. */
function followed(first: PathHints, then: PathHints): PathHints {
  const through = [...new Set([...(first.through ?? []), ...(then.through ?? [])])];
  const inos = [...new Set([...(first.inos ?? []), ...(then.inos ?? [])])];
  return {
    path: first.path,
    steps: then.steps.reduce(appendStep, first.steps),
    from: [...new Set([...first.from, ...then.from])],
    ...(through.length > 0 && { through: through.slice(0, mostKept) }),
    ...(inos.length > 0 && { inos: inos.slice(0, mostKept) }),
    actors: atMost(weakestFirst([...first.actors, ...then.actors]), mostKept),
    lastAt: then.lastAt,
    engine: first.engine === "sweep" ? then.engine : first.engine,
  };
}

/** Joins several lists of hints, one entry a path, earlier lists first. */
export function joinHints(hints: Iterable<PathHints>): Map<string, PathHints> {
  const all = new Map<string, PathHints>();
  for (const hint of hints) {
    const earlier = all.get(hint.path);
    all.set(hint.path, earlier ? followed(earlier, hint) : hint);
  }
  return all;
}
