import { atMost, weakestFirst } from "../core/change/actors.ts";
import type { Actor, EngineName, Step } from "../core/change/hint.ts";
import { appendStep } from "../core/change/wait.ts";

/** Everything that was hinted about one path since it was last looked at. */
export interface PathHints {
  readonly path: string;
  readonly steps: readonly Step[];
  readonly from: readonly string[];
  /** Other names of the file by which it was changed. */
  readonly through?: readonly string[];
  readonly actors: readonly Actor[];
  /** Of the last of them, milliseconds since 1970. */
  readonly lastAt: number;
  readonly engine: EngineName;
}

/** Actors, and other names, of a path that was hinted again and again while it waited. */
const mostKept = 10;

/** What was hinted of a path first, and what was hinted after that. */
function followed(first: PathHints, then: PathHints): PathHints {
  const through = [...new Set([...(first.through ?? []), ...(then.through ?? [])])];
  return {
    path: first.path,
    steps: then.steps.reduce(appendStep, first.steps),
    from: [...new Set([...first.from, ...then.from])],
    ...(through.length > 0 && { through: through.slice(0, mostKept) }),
    actors: atMost(weakestFirst([...first.actors, ...then.actors]), mostKept),
    lastAt: then.lastAt,
    engine: first.engine === "sweep" ? then.engine : first.engine,
  };
}

/** One for each path, of however many lists, the first list's first. */
export function joinHints(hints: Iterable<PathHints>): Map<string, PathHints> {
  const all = new Map<string, PathHints>();
  for (const hint of hints) {
    const earlier = all.get(hint.path);
    all.set(hint.path, earlier ? followed(earlier, hint) : hint);
  }
  return all;
}
