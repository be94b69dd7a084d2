import type { Change, Field } from "./change.ts";
import type { Actor } from "./hint.ts";

/** Caps the list but keeps each program's latest actor, so that a disallowed writer stays in it. */
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

/** Puts actors last that can have changed content or name; otherwise keeps the order. */
export function weakestFirst(actors: readonly Actor[]): readonly Actor[] {
  return [
    ...actors.filter(changesAttributes),
    ...actors.filter(({ only }) => only === "closed"),
    ...actors.filter(({ only }) => only === undefined),
  ];
}

/** The same for one change: for a change of attributes alone, actors known only for attributes come last. */
export function likeliestLast(actors: readonly Actor[], change: Change): readonly Actor[] {
  if (!isOfAttributes(change)) return weakestFirst(actors);
  return [...weakestFirst(actors.filter(changesMore)), ...actors.filter(changesAttributes)];
}

const attributes: ReadonlySet<Field> = new Set<Field>([
  "mode",
  "owner",
  "group",
  "acl",
  "capabilities",
  "selinux",
  "xattr",
  "flags",
]);

/** A time may change along with the attribute: it does not count. */
function isOfAttributes(change: Change): boolean {
  return (
    change.kind === "modified" &&
    change.fields.some((one) => attributes.has(one)) &&
    change.fields.every((one) => attributes.has(one) || one === "mtime")
  );
}

/** The actor without its program, for when it may have executed that only after the change. */
export function withoutProgram(actor: Actor): Actor {
  const {
    comm: _comm,
    exe: _exe,
    executable: _executable,
    cmdline: _cmdline,
    isProven: _isProven,
    images: _images,
    ...rest
  } = actor;
  return rest;
}

/** Two actors with the same key are judged alike. */
function programOf({ exe, candidates, executable, cgroup, container }: Actor): string {
  return JSON.stringify([
    exe,
    candidates,
    executable?.dev,
    executable?.ino,
    cgroup === undefined,
    container?.id,
  ]);
}
