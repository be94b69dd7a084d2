import type { Actor } from "./hint.ts";

/** At most so many, of every program the last at least: who may not write stays among them, whoever writes after it. */
export function atMost(actors: readonly Actor[], most: number): readonly Actor[] {
  if (actors.length <= most) return actors;
  const programs = new Map<string, Actor>();
  for (const actor of actors) {
    const program = programOf(actor);
    programs.delete(program);
    programs.set(program, actor);
  }
  return [...programs.values()].slice(-most);
}

const changesAttributes = ({ only }: Actor): boolean => only === "attributes";
const changesMore = ({ only }: Actor): boolean => only !== "attributes";

/** Who can have changed what is in a file, or its name, comes last; in order where that is the same. */
export function weakestFirst(actors: readonly Actor[]): readonly Actor[] {
  return [
    ...actors.filter(changesAttributes),
    ...actors.filter(({ only }) => only === "closed"),
    ...actors.filter(({ only }) => only === undefined),
  ];
}

/** The same of a change of attributes alone: who is known for nothing else comes last. */
export function weakestFirstOfAttributes(actors: readonly Actor[]): readonly Actor[] {
  return [...weakestFirst(actors.filter(changesMore)), ...actors.filter(changesAttributes)];
}

/** What is left when it may have executed its program only after what it did. */
export function withoutProgram(actor: Actor): Actor {
  const { comm: _comm, exe: _exe, executable: _executable, cmdline: _cmdline, ...rest } = actor;
  return rest;
}

/** Two for whom this is the same are judged alike. */
function programOf({ exe, executable, cgroup, container }: Actor): string {
  return JSON.stringify([
    exe,
    executable?.dev,
    executable?.ino,
    cgroup === undefined,
    container?.id,
  ]);
}
