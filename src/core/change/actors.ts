import type { Change, Field } from "./change.ts";
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

/** The same for one change: of a change of attributes alone, who is known for nothing else comes last. */
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

/** A time may have changed along: it is the lesser part. */
function isOfAttributes(change: Change): boolean {
  return (
    change.kind === "modified" &&
    change.fields.some((one) => attributes.has(one)) &&
    change.fields.every((one) => attributes.has(one) || one === "mtime")
  );
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
